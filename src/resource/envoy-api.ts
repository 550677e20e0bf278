import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { create, fromBinary, type Registry, toBinary } from '@bufbuild/protobuf'
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { type DescriptorFile, readDescriptorFiles } from './descriptor-file.ts'
import { LazyRegistry } from './lazy-registry.ts'

/** The descriptors of one version of Envoy's API (and of our own messages). */
export interface EnvoyApi {
  /** What people are told: `built-in`, or the file that `--envoy-api` named. */
  readonly label: string
  readonly registry: Registry
  readonly files: readonly DescriptorFile[]
}

/** Where the build puts the default descriptors; the same path from src/ and from dist/. */
const defaultDescriptors = fileURLToPath(new URL('../../dist/api/default.binpb', import.meta.url))

/** The label of the API that this package carries. */
const builtIn = 'built-in'

/** What the npm package that it is compiled from carries (docs/operations.md, "Envoy's API"). */
const builtInRelease = 'of July 2024, about Envoy 1.31'

/** Of when the API is, for people; undefined for one from elsewhere, which does not say. */
export function releaseOf({ label }: EnvoyApi): string | undefined {
  return label === builtIn ? builtInRelease : undefined
}

let loadedBuiltIn: EnvoyApi | undefined

/**
 * Loads descriptors: the built-in ones, once a process, or the set in `path` (which `fairlead api import` wrote).
 * @throws ControlPlaneError `api` when the file cannot be read, is no descriptor set, or lacks an import.
 */
export function loadEnvoyApi(path?: string): EnvoyApi {
  if (path === undefined) {
    loadedBuiltIn ??= apiOf(builtIn, filesIn(defaultDescriptors))
    return loadedBuiltIn
  }
  return buildEnvoyApi(path, withOwnFiles(readDescriptorSet(path)))
}

/**
 * The API of a descriptor set from elsewhere, of which every file is looked at.
 * @throws ControlPlaneError `api` when the set is incomplete or contradicts itself.
 */
export function buildEnvoyApi(label: string, set: FileDescriptorSet): EnvoyApi {
  const api = apiOf(label, readDescriptorFiles(toBinary(FileDescriptorSetSchema, set)))
  try {
    api.registry.loadAll()
  } catch (error) {
    throw new ControlPlaneError(
      'api',
      `the Envoy API descriptors in ${label} do not fit together: ${messageOf(error)}`,
      { cause: error },
    )
  }
  return api
}

function apiOf(label: string, files: readonly DescriptorFile[]): EnvoyApi & { readonly registry: LazyRegistry } {
  if (!files.some(({ types }) => types.includes('envoy.config.cluster.v3.Cluster'))) {
    throw new ControlPlaneError('api', `${label} holds no Envoy API: make one with \`fairlead api import\``)
  }
  return { label, registry: new LazyRegistry(files), files }
}

/** @throws ControlPlaneError `api` when the package was not built. */
export function readBuiltInFiles(): FileDescriptorSet {
  return readDescriptorSet(defaultDescriptors)
}

/** The set with this version's own messages (fairlead.v1) in place of whatever it has of them, and what they import. */
export function withOwnFiles(set: FileDescriptorSet): FileDescriptorSet {
  const isOwn = (name: string): boolean => name.startsWith('fairlead/')
  const builtInFiles = readBuiltInFiles().file
  const own = builtInFiles.filter(({ name }) => isOwn(name))
  const imported = new Set(own.flatMap(({ dependency }) => dependency).filter((name) => !isOwn(name)))
  const present = new Set(set.file.map(({ name }) => name))
  const lacking = builtInFiles.filter(({ name }) => imported.has(name) && !present.has(name))
  return create(FileDescriptorSetSchema, { file: [...lacking, ...set.file.filter(({ name }) => !isOwn(name)), ...own] })
}

/** What to do about a message or field that the API does not know. */
export function apiHint(api: EnvoyApi, what: 'field' | 'message'): string {
  if (api.label !== builtIn) return `No such ${what} is in ${api.label}.`
  return `If your Envoy is newer and has this ${what}, \`fairlead api import $(which envoy)\` may know it.`
}

function readDescriptorSet(file: string): FileDescriptorSet {
  return readFrom(
    file,
    (bytes) => fromBinary(FileDescriptorSetSchema, bytes),
    ({ file: files }) => files.length > 0,
  )
}

function filesIn(file: string): readonly DescriptorFile[] {
  return readFrom(file, readDescriptorFiles, (files) => files.length > 0)
}

function readFrom<T>(file: string, read: (bytes: Uint8Array) => T, isFilled: (content: T) => boolean): T {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new ControlPlaneError('api', `cannot read the Envoy API descriptors: ${messageOf(error)}`, { cause: error })
  }
  try {
    const content = read(bytes)
    if (isFilled(content)) return content
  } catch (error) {
    throw new ControlPlaneError('api', notASet(file), { cause: error })
  }
  throw new ControlPlaneError('api', notASet(file))
}

const notASet = (file: string): string =>
  `${file} is no descriptor set; \`fairlead api import\` makes one of an Envoy binary`
