import { create, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { loadFileDescriptorSetFromBuffer, type ServiceDefinition } from '@grpc/proto-loader'
import { type DescriptorFile, decodeDescriptorFile } from './descriptor-file.ts'
import type { EnvoyApi } from './envoy-api.ts'
import { resourceTypes } from './type-url.ts'

/** The aggregated discovery service. */
export const aggregatedDiscoveryService = 'envoy.service.discovery.v3.AggregatedDiscoveryService'

const known = new WeakMap<EnvoyApi, ReadonlyMap<string, ServiceDefinition>>()

/**
 * The gRPC services of xDS that this version of Envoy's API has, by full name. Their messages stay bytes: the
 * envelopes are read and written by `discovery-envelope.ts`. Loaded once, for every server of the process.
 */
export function discoveryServices(api: EnvoyApi): ReadonlyMap<string, ServiceDefinition> {
  const services = known.get(api) ?? loadServices(api)
  known.set(api, services)
  return services
}

function loadServices(api: EnvoyApi): ReadonlyMap<string, ServiceDefinition> {
  const wanted = discoveryServiceNames()
  // The whole set would cost proto-loader half a second and 60 MB.
  const files = filesOfServices(api, wanted)
  const set = toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, { file: files.map(decodeDescriptorFile) }),
  )
  const loaded = loadFileDescriptorSetFromBuffer(Buffer.from(set))
  const services = new Map<string, ServiceDefinition>()
  for (const name of wanted) {
    const definition = loaded[name]
    if (definition !== undefined && !('format' in definition)) services.set(name, withBytes(definition))
  }
  return services
}

/** The encoded `FileDescriptorProto`s of those services and of all that they import: for server reflection. */
export function discoveryServiceFiles(api: EnvoyApi): readonly Uint8Array[] {
  return filesOfServices(api, discoveryServiceNames()).map(({ bytes }) => bytes)
}

function discoveryServiceNames(): ReadonlySet<string> {
  const own = Object.values(resourceTypes).flatMap(({ grpc }) => (grpc === undefined ? [] : [grpc.service]))
  return new Set([aggregatedDiscoveryService, ...own])
}

/** The files that define these services, and all that they import, imports first. */
function filesOfServices({ files }: EnvoyApi, services: ReadonlySet<string>): readonly DescriptorFile[] {
  const byName = new Map(files.map((file) => [file.name, file]))
  const found = new Set<DescriptorFile>()
  const add = (file: DescriptorFile | undefined): void => {
    if (file === undefined || found.has(file)) return
    for (const name of file.imports) add(byName.get(name))
    found.add(file)
  }
  for (const file of files) if (file.services.some((service) => services.has(service))) add(file)
  return [...found]
}

function withBytes(definition: ServiceDefinition): ServiceDefinition {
  const identity = (bytes: Buffer): Buffer => bytes
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [
      name,
      {
        ...method,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    ]),
  ) as unknown as ServiceDefinition
}
