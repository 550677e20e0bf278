/** The build in dist/, which is what people run, rather than what a loader makes of the source. */
import type * as SnapshotCacheModule from '../../src/cache/snapshot-cache.ts'
import type * as ParseDocumentModule from '../../src/config/parse-document.ts'
import type * as LogModule from '../../src/log.ts'
import type * as MetricsModule from '../../src/metrics.ts'
import type * as PipelineModule from '../../src/pipeline.ts'
import type * as EnvoyApiModule from '../../src/resource/envoy-api.ts'
import type * as NodeModule from '../../src/resource/node.ts'
import type * as WorldModule from '../../src/snapshot/world.ts'
import type * as MemorySourceModule from '../../src/source/memory-source.ts'
import type * as MeshModule from '../../src/translate/mesh.ts'
import type * as ServerModule from '../../src/xds/server.ts'

async function load<M>(path: string): Promise<M> {
  return (await import(new URL(`../../dist/${path}`, import.meta.url).href)) as M
}

const cacheModule = await load<typeof SnapshotCacheModule>('cache/snapshot-cache.js')
const parseModule = await load<typeof ParseDocumentModule>('config/parse-document.js')
const logModule = await load<typeof LogModule>('log.js')
const metricsModule = await load<typeof MetricsModule>('metrics.js')
const pipelineModule = await load<typeof PipelineModule>('pipeline.js')
const apiModule = await load<typeof EnvoyApiModule>('resource/envoy-api.js')
const nodeModule = await load<typeof NodeModule>('resource/node.js')
const worldModule = await load<typeof WorldModule>('snapshot/world.js')
const sourceModule = await load<typeof MemorySourceModule>('source/memory-source.js')
const meshModule = await load<typeof MeshModule>('translate/mesh.js')
const serverModule = await load<typeof ServerModule>('xds/server.js')

export const createSnapshotCache: typeof SnapshotCacheModule.createSnapshotCache = cacheModule.createSnapshotCache
export const parseDocument: typeof ParseDocumentModule.parseDocument = parseModule.parseDocument
export const createLog: typeof LogModule.createLog = logModule.createLog
export const silentLog: typeof LogModule.silentLog = logModule.silentLog
export const createMetrics: typeof MetricsModule.createMetrics = metricsModule.createMetrics
export const createPipeline: typeof PipelineModule.createPipeline = pipelineModule.createPipeline
export const loadEnvoyApi: typeof EnvoyApiModule.loadEnvoyApi = apiModule.loadEnvoyApi
export const nodeOfJson: typeof NodeModule.nodeOfJson = nodeModule.nodeOfJson
export const createWorld: typeof WorldModule.createWorld = worldModule.createWorld
export const createMemorySource: typeof MemorySourceModule.createMemorySource = sourceModule.createMemorySource
export const createMesh: typeof MeshModule.createMesh = meshModule.createMesh
export const createXdsServer: typeof ServerModule.createXdsServer = serverModule.createXdsServer
