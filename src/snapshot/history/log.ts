import { crc32 } from 'node:zlib'

/** The file format of the history: records, each preceded by its length and its CRC-32, both 32 bits little-endian. */

const headerLength = 8

/** A length beyond this is damage, not a record: no resource comes near it (a gRPC message ends at 4 MiB by default). */
const maxRecordLength = 0x3fff_ffff

/** Frames one record for the file. An empty record cannot be written: a tail of zeros must not read as records. */
export function frameRecord(record: Uint8Array): Uint8Array {
  if (record.length === 0 || record.length > maxRecordLength) throw new RangeError(`record of ${record.length} bytes`)
  const frame = new Uint8Array(headerLength + record.length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, record.length, true)
  view.setUint32(4, crc32(record), true)
  frame.set(record, headerLength)
  return frame
}

export interface FramedRecord {
  readonly bytes: Uint8Array
  /** The offset in the file after it. */
  readonly end: number
}

/** Yields the whole records at the beginning of a file; ends at the first that is torn or damaged. */
export function* readRecords(file: Uint8Array): Generator<FramedRecord> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  let offset = 0
  while (offset + headerLength <= file.length) {
    const length = view.getUint32(offset, true)
    const end = offset + headerLength + length
    if (length === 0 || length > maxRecordLength || end > file.length) return
    const bytes = file.subarray(offset + headerLength, end)
    if (crc32(bytes) !== view.getUint32(offset + 4, true)) return
    yield { bytes, end }
    offset = end
  }
}
