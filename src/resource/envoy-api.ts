import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf'
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { ControlPlaneError } from '../errors.ts'

/** The descriptors of one version of Envoy's API (and of our own messages), loaded once at start. */
export interface EnvoyApi {
  /** What people are told: `built-in`, or the file that `--envoy-api` named. */
  readonly label: string
  readonly registry: FileRegistry
  readonly files: FileDescriptorSet
}

/** Where the build puts the default descriptors; the same path from src/ and from dist/. */
const defaultDescriptors = fileURLToPath(new URL('../../dist/api/default.binpb', import.meta.url))

/**
 * Loads descriptors: the built-in ones, or the set in `path` (which `fairlead api import` wrote).
 * @throws ControlPlaneError `api` when the file is no descriptor set or lacks an import.
 */
export function loadEnvoyApi(path?: string): EnvoyApi {
  const file = path ?? defaultDescriptors
  try {
    const files = fromBinary(FileDescriptorSetSchema, readFileSync(file))
    return { label: path ?? 'built-in', registry: createFileRegistry(files), files }
  } catch (error) {
    throw new ControlPlaneError('api', `cannot read the Envoy API descriptors in ${file}`, { cause: error })
  }
}
