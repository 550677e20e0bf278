import { fromBinary } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'

/** One file of a descriptor set, of which only the table of contents was read. */
export interface DescriptorFile {
  /** `envoy/config/cluster/v3/cluster.proto` */
  readonly name: string
  /** Names of the files that it imports. */
  readonly imports: readonly string[]
  /** Full names of what it defines, but for what is defined within a message. */
  readonly types: readonly string[]
  /** Those of them that are services. */
  readonly services: readonly string[]
  /** The `FileDescriptorProto`, encoded. */
  readonly bytes: Uint8Array
}

/** Field numbers of FileDescriptorProto. */
const fields = { name: 1, package: 2, dependency: 3, message: 4, enum: 5, service: 6, extension: 7 } as const

/** `FileDescriptorSet.file`, and `name` in the descriptor of a file, message, enum, service and extension alike. */
const firstField = 1

/**
 * Reads the table of contents of a serialized `FileDescriptorSet`, file by file.
 * @throws Error when the bytes are none.
 */
export function readDescriptorFiles(bytes: Uint8Array): readonly DescriptorFile[] {
  return messagesIn(bytes, firstField).map(readFile)
}

/** @throws Error when the bytes are no `FileDescriptorProto`. */
export function decodeDescriptorFile({ bytes }: DescriptorFile): FileDescriptorProto {
  return fromBinary(FileDescriptorProtoSchema, bytes)
}

function readFile(bytes: Uint8Array): DescriptorFile {
  let [name, packageName] = ['', '']
  const imports: string[] = []
  const own: string[] = []
  const ownServices: string[] = []
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag()
    if (wireType !== WireType.LengthDelimited) reader.skip(wireType, number)
    else if (number === fields.name) name = reader.string()
    else if (number === fields.package) packageName = reader.string()
    else if (number === fields.dependency) imports.push(reader.string())
    else if (number === fields.message || number === fields.enum || number === fields.extension) {
      own.push(nameIn(reader.bytes()))
    } else if (number === fields.service) ownServices.push(nameIn(reader.bytes()))
    else reader.skip(wireType, number)
  }
  const full = (ownName: string): string => (packageName === '' ? ownName : `${packageName}.${ownName}`)
  const services = ownServices.map(full)
  return { name, imports, types: [...own.map(full), ...services], services, bytes }
}

function nameIn(bytes: Uint8Array): string {
  const [name] = messagesIn(bytes, firstField)
  return name === undefined ? '' : Buffer.from(name).toString()
}

/** What stands in one length-delimited field of a message. */
function messagesIn(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = []
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag()
    if (number === wanted && wireType === WireType.LengthDelimited) found.push(reader.bytes())
    else reader.skip(wireType, number)
  }
  return found
}
