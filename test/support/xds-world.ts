import jspb from 'google-protobuf'
import { pino } from 'pino'
import type { SnapshotCache } from '../../src/cache/cache.ts'
import { loadEnvoyApi } from '../../src/resource/envoy-api.ts'
import type { Node } from '../../src/resource/node.ts'
import { buildResource, type Reference, type Resource, type ResourceContent } from '../../src/resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../../src/resource/type-url.ts'
import { setOfResources } from '../../src/snapshot/resource-set.ts'
import { buildSnapshot, type Snapshot } from '../../src/snapshot/snapshot.ts'
import { createXdsServer, type XdsServer, type XdsServerOptions } from '../../src/xds/server.ts'
import type { StreamEvent } from '../../src/xds/stream-event.ts'
import { atTestEnd } from './at-test-end.ts'
import { openStream, type ServiceWord, type WireStream } from './wire-client.ts'

/** A message with the name in field 1, as every resource type has it, a text in field 2, and what it names, for equal bytes are one resource. */
function bytesOf(name: string, text: string, references: readonly string[]): Uint8Array {
  const writer = new jspb.BinaryWriter()
  writer.writeString(1, name)
  writer.writeString(2, text)
  writer.writeRepeatedString(3, [...references])
  return writer.getResultBuffer()
}

/** The text that a fake resource has. */
export function textOf(bytes: Uint8Array | undefined): string {
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    if (reader.getFieldNumber() === 2) return reader.readString()
    reader.skipField()
  }
  return ''
}

/** A resource whose content is only a text: the server does not read it. */
export function fakeResource(
  word: ResourceWord,
  name: string,
  text = '',
  more: Partial<Omit<ResourceContent, 'references'>> & { readonly references?: readonly string[] } = {},
): Resource {
  const { references = [], ...content } = more
  return buildResource({
    typeUrl: resourceTypes[word].typeUrl,
    name,
    bytes: bytesOf(name, text, references),
    origin: { name: 'test.yaml' },
    references: references.map((reference): Reference => {
      const [type, target] = reference.split(':', 2) as [ResourceWord, string]
      return { typeUrl: resourceTypes[type].typeUrl, name: target, path: 'somewhere' }
    }),
    ...content,
  })
}

export function snapshotOf(...resources: readonly Resource[]): Snapshot {
  const byType = new Map<string, Resource[]>()
  for (const resource of resources) {
    byType.set(resource.typeUrl, [...(byType.get(resource.typeUrl) ?? []), resource])
  }
  return buildSnapshot([...byType].map(([typeUrl, members]) => setOfResources(typeUrl, members)))
}

/** A cache that is told its snapshots: one for each node.cluster, and `''` for all others. */
export interface FixedCache extends SnapshotCache {
  serve(snapshot: Snapshot, cluster?: string): void
  readonly watches: number
}

export function createFixedCache(): FixedCache {
  const snapshots = new Map<string, Snapshot>()
  const watches = new Set<{ readonly node: Node; readonly onSnapshot: Parameters<SnapshotCache['watch']>[1] }>()
  const keyOf = (node: Node): string => (snapshots.has(node.cluster) ? node.cluster : '')
  const groupOf = (node: Node) => ({ key: keyOf(node), label: `cluster=${keyOf(node)}`, selectors: [] })
  return {
    serve(snapshot, cluster = '') {
      snapshots.set(cluster, snapshot)
      for (const { node, onSnapshot } of watches) if (keyOf(node) === cluster) onSnapshot(snapshot, groupOf(node))
    },
    get watches() {
      return watches.size
    },
    apply() {},
    watch(node, onSnapshot) {
      const watch = { node, onSnapshot }
      watches.add(watch)
      return { group: groupOf(node), snapshot: snapshots.get(keyOf(node)), close: () => void watches.delete(watch) }
    },
    snapshotFor: (node) => ({ group: groupOf(node), snapshot: snapshots.get(keyOf(node)) }),
    pastOf: () => [],
    groups: () => [],
    withheld: () => [],
  }
}

export interface XdsWorld {
  readonly cache: FixedCache
  readonly server: XdsServer
  readonly events: readonly StreamEvent[]
  readonly open: (protocol: 'sotw' | 'delta', service?: ServiceWord) => WireStream
}

const api = loadEnvoyApi()

/** A server on a free port with a fixed cache, and clients of it; gone when the test is over. */
export async function startXds(options: Partial<XdsServerOptions> = {}): Promise<XdsWorld> {
  const cache = createFixedCache()
  const events: StreamEvent[] = []
  const server = await createXdsServer(
    { cache, api, log: pino({ level: 'silent' }), onEvent: (event) => events.push(event) },
    { listen: '127.0.0.1:0', isSecure: true, identifier: 'test', ...options },
  )
  atTestEnd(() => server.close())
  return {
    cache,
    server,
    events,
    open: (protocol, service = 'ads') => openStream({ port: server.port, protocol, service }),
  }
}

export const node = { id: 'test-id', cluster: 'test' }
