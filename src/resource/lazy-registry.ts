import {
  createFileRegistry,
  type DescEnum,
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  type Registry,
} from '@bufbuild/protobuf'
import { nestedTypes } from '@bufbuild/protobuf/reflect'
import { type DescriptorFile, decodeDescriptorFile } from './descriptor-file.ts'

type Type = DescMessage | DescEnum | DescExtension | DescService

/**
 * The types of some descriptor files, each file decoded when something of it, or of what imports it, is first asked for.
 * Of Envoy's four hundred files a deployment uses some eighty: the others would be a tenth of a second of every start, and
 * megabytes that every garbage collection visits.
 */
export class LazyRegistry implements Registry {
  readonly kind = 'registry'
  readonly #files: ReadonlyMap<string, DescriptorFile>
  /** By the names of types that are not defined within another. */
  readonly #fileOf = new Map<string, DescriptorFile>()
  readonly #loaded = new Map<string, DescFile>()
  /** The same as another file sees them: all that they import themselves would be gone through again for each of those. */
  readonly #imports = new Map<string, DescFile>()
  readonly #types = new Map<string, Type>()

  constructor(files: readonly DescriptorFile[]) {
    this.#files = new Map(files.map((file) => [file.name, file]))
    for (const file of files) for (const type of file.types) this.#fileOf.set(type, file)
  }

  /** @throws Error when some file cannot be decoded, or does not fit to what it imports. */
  loadAll(): void {
    for (const name of this.#files.keys()) this.#load(name)
  }

  *[Symbol.iterator](): IterableIterator<Type> {
    this.loadAll()
    yield* this.#types.values()
  }

  /** @throws Error when the file that defines it cannot be decoded, or does not fit to what it imports. */
  get(typeName: string): Type | undefined {
    const known = this.#types.get(typeName)
    if (known !== undefined) return known
    const file = this.#defining(typeName)
    if (file === undefined || this.#loaded.has(file.name)) return undefined
    this.#load(file.name)
    return this.#types.get(typeName)
  }

  getMessage(typeName: string): DescMessage | undefined {
    const type = this.get(typeName)
    return type?.kind === 'message' ? type : undefined
  }

  getEnum(typeName: string): DescEnum | undefined {
    const type = this.get(typeName)
    return type?.kind === 'enum' ? type : undefined
  }

  getExtension(typeName: string): DescExtension | undefined {
    const type = this.get(typeName)
    return type?.kind === 'extension' ? type : undefined
  }

  getService(typeName: string): DescService | undefined {
    const type = this.get(typeName)
    return type?.kind === 'service' ? type : undefined
  }

  /** Among what was loaded: only the options of descriptors have extensions, which are asked for by name. */
  getExtensionFor(extendee: DescMessage, no: number): DescExtension | undefined {
    for (const type of this.#types.values()) {
      if (type.kind === 'extension' && type.number === no && type.extendee.typeName === extendee.typeName) return type
    }
    return undefined
  }

  /** The file with this type, or with the one that it is defined within. */
  #defining(typeName: string): DescriptorFile | undefined {
    for (let name = typeName; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
      const file = this.#fileOf.get(name)
      if (file !== undefined) return file
    }
    return undefined
  }

  #load(name: string): DescFile | undefined {
    const known = this.#loaded.get(name)
    const file = this.#files.get(name)
    if (known !== undefined || file === undefined) return known
    for (const imported of file.imports) this.#load(imported)
    const registry = createFileRegistry(decodeDescriptorFile(file), (imported) => this.#imports.get(imported))
    const loaded = registry.getFile(name)
    if (loaded === undefined) return undefined
    this.#loaded.set(name, loaded)
    this.#imports.set(name, { ...loaded, dependencies: this.#passedOn(loaded) })
    for (const type of nestedTypes(loaded)) this.#types.set(type.typeName, type)
    return loaded
  }

  /** What a file imports publicly is imported with it. */
  #passedOn({ proto }: DescFile): DescFile[] {
    return proto.publicDependency.flatMap((index) => this.#imports.get(proto.dependency[index] ?? '') ?? [])
  }
}
