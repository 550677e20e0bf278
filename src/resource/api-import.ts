import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { readBuiltInFiles, withOwnFiles } from './envoy-api.ts'

export interface ImportedApi {
  /** A serialized FileDescriptorSet, every file after what it imports; `loadEnvoyApi` takes it. */
  readonly descriptorSet: Uint8Array
  readonly files: number
  /** Those of Envoy's own API. */
  readonly envoyFiles: number
  /** Names of files that were found and could not be used, because something that they import was not. */
  readonly leftOut: readonly string[]
}

/**
 * Makes a descriptor set of an Envoy binary, which carries the descriptors of its own API, or of a descriptor set that
 * some other tool made. Our own messages are added.
 * @throws ControlPlaneError `api` when neither is in `bytes`, or what is there does not fit together.
 */
export function importEnvoyApi(bytes: Uint8Array): ImportedApi {
  const found = filesOfSet(bytes) ?? scanForFiles(bytes)
  const available = new Map(found.map((file) => [file.name, file]))
  if (![...available.keys()].some(isEnvoyFile)) {
    throw new ControlPlaneError(
      'api',
      'there are no descriptors of the Envoy API in it: give an Envoy binary or a descriptor set',
    )
  }
  for (const file of readBuiltInFiles().file) {
    if (file.name.startsWith('google/protobuf/') && !available.has(file.name)) available.set(file.name, file)
  }
  const { ordered, leftOut } = inImportOrder(available)
  const set = withOwnFiles(create(FileDescriptorSetSchema, { file: ordered }))
  assertFits(set)
  return {
    descriptorSet: toBinary(FileDescriptorSetSchema, set),
    files: set.file.length,
    envoyFiles: set.file.filter(({ name }) => isEnvoyFile(name)).length,
    leftOut,
  }
}

const isEnvoyFile = (name: string): boolean => name.startsWith('envoy/')

function assertFits(set: FileDescriptorSet): void {
  try {
    createFileRegistry(set)
  } catch (error) {
    throw new ControlPlaneError('api', `the descriptors in it do not fit together: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function filesOfSet(bytes: Uint8Array): FileDescriptorProto[] | undefined {
  try {
    const { file } = fromBinary(FileDescriptorSetSchema, bytes)
    return file.length > 0 && file.every(({ name }) => isProtoName(name)) ? file : undefined
  } catch {
    return undefined
  }
}

const isProtoName = (name: string): boolean => /^[\w./+-]+\.proto$/.test(name)

const suffix = Buffer.from('.proto')

/** FileDescriptorProto.name (field 1), with which every serialized descriptor begins. */
const nameTag = 0x0a

/** Finds every serialized FileDescriptorProto in a binary; of one file that is there more than once, the longest. */
function scanForFiles(bytes: Uint8Array): FileDescriptorProto[] {
  const binary = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const files = new Map<string, { readonly file: FileDescriptorProto; readonly length: number }>()
  for (let at = binary.indexOf(suffix); at !== -1; at = binary.indexOf(suffix, at + 1)) {
    const start = startOfDescriptor(binary, at + suffix.length)
    if (start === undefined) continue
    const found = descriptorAt(binary, start)
    if (found === undefined) continue
    const known = files.get(found.file.name)
    if (known === undefined || known.length < found.length) files.set(found.file.name, found)
  }
  return [...files.values()].map(({ file }) => file)
}

/** Where a descriptor begins whose name ends at `end`, if that text is one's name: its tag and length stand before it. */
function startOfDescriptor(binary: Buffer, end: number): number | undefined {
  for (let length = suffix.length + 1; length < 256 && length <= end; length++) {
    const nameStart = end - length
    if (!isNameByte(binary[nameStart])) return undefined
    const lengthBytes = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7]
    const start = nameStart - lengthBytes.length - 1
    if (binary[start] === nameTag && lengthBytes.every((byte, index) => binary[start + 1 + index] === byte))
      return start
  }
  return undefined
}

function isNameByte(byte: number | undefined): boolean {
  return byte !== undefined && /[\w./+-]/.test(String.fromCharCode(byte))
}

function descriptorAt(
  binary: Buffer,
  start: number,
): { readonly file: FileDescriptorProto; readonly length: number } | undefined {
  // What follows a descriptor can look like one more field of it; then a shorter reading is the right one.
  for (const end of fieldEnds(binary, start).reverse()) {
    const file = decodeFile(binary.subarray(start, end))
    if (file !== undefined) return { file, length: end - start }
  }
  return undefined
}

function decodeFile(bytes: Uint8Array): FileDescriptorProto | undefined {
  try {
    const file = fromBinary(FileDescriptorProtoSchema, bytes)
    return isProtoName(file.name) && file.$unknown === undefined ? file : undefined
  } catch {
    return undefined
  }
}

/** Wire types of FileDescriptorProto's fields: 0 is a varint, 2 has a length. */
const wireTypes: ReadonlyMap<number, number> = new Map([
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15].map((number): [number, number] => [number, 2]),
  ...[10, 11, 14].map((number): [number, number] => [number, 0]),
])

/** Fields that occur at most once. */
const singular: ReadonlySet<number> = new Set([1, 2, 8, 9, 12, 14])

/** The ends of the fields that may belong to the descriptor at `start`, of which its compiler wrote each number in turn. */
function fieldEnds(binary: Buffer, start: number): number[] {
  const ends: number[] = []
  const seen = new Set<number>()
  let position = start
  while (position < binary.length) {
    const tag = readVarint(binary, position)
    if (tag === undefined) break
    const number = tag.value >>> 3
    if (wireTypes.get(number) !== (tag.value & 7) || (singular.has(number) && seen.has(number))) break
    const value = readVarint(binary, tag.end)
    if (value === undefined) break
    const end = (tag.value & 7) === 2 ? value.end + value.value : value.end
    if (end > binary.length) break
    seen.add(number)
    ends.push(end)
    position = end
  }
  return ends
}

/** A varint of at most 28 bits: no tag or length in a descriptor needs more. */
function readVarint(binary: Buffer, start: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0
  for (let index = 0; index < 4; index++) {
    const byte = binary[start + index]
    if (byte === undefined) return undefined
    value |= (byte & 0x7f) << (7 * index)
    if (byte < 0x80) return { value, end: start + index + 1 }
  }
  return undefined
}

/** The files in an order in which each stands after its imports; without those whose imports are not all there. */
function inImportOrder(available: ReadonlyMap<string, FileDescriptorProto>): {
  readonly ordered: FileDescriptorProto[]
  readonly leftOut: string[]
} {
  const ordered: FileDescriptorProto[] = []
  const verdicts = new Map<string, boolean>()
  const visit = (name: string): boolean => {
    const known = verdicts.get(name)
    if (known !== undefined) return known
    const file = available.get(name)
    verdicts.set(name, false) // a file that imports itself, by whatever way round, is none that protobuf takes
    if (file === undefined || !file.dependency.map(visit).every(Boolean)) return false
    verdicts.set(name, true)
    ordered.push(file)
    return true
  }
  const names = [...available.keys()].sort()
  return { leftOut: names.filter((name) => !visit(name)), ordered }
}
