import { expect } from 'vitest'
import type { ResourceWord } from '../../src/resource/type-url.ts'
import { asks, protocols, statusOf, verdicts } from '../support/conversation.ts'
import { resource, routeTo } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  type Memory,
  type Says,
  type Step,
  server,
  step,
  transcript,
} from '../support/transcript.ts'
import { type Protocol, typeUrlOf, type WireResponse } from '../support/wire-client.ts'

const mebibyte = 1024 * 1024

/** Resources of about 100 kB each. */
function large(word: 'cluster' | 'endpoint' | 'listener', count: number) {
  const pad = 'x'.repeat(100_000)
  const fields = {
    cluster: { alt_stat_name: pad },
    endpoint: { named_endpoints: { [pad]: {} } },
    listener: { stat_prefix: pad },
  }
  return Array.from({ length: count }, (_, index) => resource(word, `${word}-${100 + index}`, fields[word]))
}

const namesOf = (resources: readonly { readonly name: string }[]): string[] => resources.map(({ name }) => name)
const sizeOf = ({ resources }: WireResponse): number =>
  resources.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0)

/** Takes responses until they held all these names, each once; the first `leave` of them get no verdict here. */
function inParts(type: ResourceWord, names: readonly string[], atLeast: number): Step {
  return step(`${type}: ${names.length} resources in ${atLeast} parts or more`, async (world) => {
    const side = world.client('client')
    const came: string[] = []
    let parts = 0
    while (came.length < names.length) {
      const response = await side.take()
      expect(response.typeUrl).toBe(typeUrlOf(type))
      expect(sizeOf(response), 'bytes of one part').toBeLessThanOrEqual(4 * mebibyte)
      came.push(...namesOf(response.resources))
      parts++
    }
    expect(came.sort()).toEqual([...names].sort())
    expect(parts).toBeGreaterThanOrEqual(atLeast)
  })
}

const clusters = large('cluster', 200)
const assignments = large('endpoint', 100)

transcript(
  'rule 19: a delta answer of 20 MiB comes in parts of at most 4 MiB',
  'delta',
  given(...clusters),
  client({ type: 'cluster' }),
  inParts('cluster', namesOf(clusters), 5),
  client(ack()),
  server.silent(),
)

transcript(
  'rule 19: a SotW answer of a type that may be partial comes in parts',
  'sotw',
  given(...assignments),
  client({ type: 'endpoint', names: namesOf(assignments) }),
  inParts('endpoint', namesOf(assignments), 3),
  client(ack()),
  server.silent(),
  verdicts('ack endpoint'),
  statusOf('endpoint', (status, { last }) => expect(status.acked).toBe(last('endpoint'))),
  apply(resource('endpoint', 'endpoint-100', 2)),
  accepted({ type: 'endpoint', resources: ['endpoint-100'] }),
)

for (const type of ['cluster', 'listener'] as const) {
  const many = large(type, 60)
  transcript(
    `rule 19: SotW ${type}s are never split, for absence is removal, and a gRPC client's log line says how large`,
    { protocol: 'sotw', node: { id: 'grpc-1', cluster: 'edge', user_agent_name: 'gRPC Go' } },
    given(...many),
    client({ type, names: namesOf(many) }),
    accepted({ type, resources: many }),
    server.warns(/4 MiB/),
    server.silent(),
  )
}

/** So small that every resource is a part of its own. */
const small = { maxResponseBytes: 64 }
const three = ['a', 'b', 'c'].map((name) => resource('endpoint', name))

/** Takes the three parts before it says anything of them. */
const takesThree: Step = step('three parts of one resource each', async (world) => {
  const side = world.client('client')
  for (let part = 0; part < 3; part++) expect((await side.take()).resources).toHaveLength(1)
})

/** The verdict on one part; an error makes it a rejection. */
function onPart(index: number, error?: string) {
  return (memory: Memory, protocol: Protocol): Says => {
    const { nonce, version } = memory.all('endpoint')[index] as WireResponse
    const accepts = error === undefined
    return {
      type: 'endpoint',
      nonce,
      ...(!accepts && { error }),
      ...(protocol === 'sotw' && { version: accepts ? version : '', names: ['a', 'b', 'c'] }),
    }
  }
}

for (const protocol of protocols) {
  transcript(
    `rule 19: each part has a nonce of its own, and the set is accepted with the last (${protocol})`,
    { protocol, server: small },
    given(...three),
    client(asks('endpoint', 'a', 'b', 'c')),
    takesThree,
    client(onPart(0)),
    client(onPart(1)),
    server.silent(),
    statusOf('endpoint', (status) => expect(status.acked, 'before the last part').toBeUndefined()),
    client(onPart(2)),
    server.silent(),
    statusOf('endpoint', (status) => expect(status.acked).toBe(status.sent)),
  )

  transcript(
    `rule 19: the rejection of the first part does not make the whole push come again (${protocol})`,
    { protocol, server: small },
    given(...three),
    client(asks('endpoint', 'a', 'b', 'c')),
    takesThree,
    client(onPart(0, 'a is bad')),
    client(onPart(1)),
    client(onPart(2)),
    server.silent(),
    step('one rejection was counted, and the set is not accepted', ({ events, server: { status } }) => {
      expect(events.filter(({ kind }) => kind === 'nack')).toHaveLength(1)
      expect(status.nodes()[0]?.types['endpoint']?.acked).toBeUndefined()
    }),
  )
}

for (const rejected of [0, 2]) {
  const name = ['a', 'b', 'c'][rejected] ?? ''
  transcript(
    `rule 19: after the rejection of part ${rejected + 1} of 3 the resources of the others are not sent again`,
    { protocol: 'delta', server: small },
    given(...three),
    client({ type: 'endpoint', subscribe: ['a', 'b', 'c'] }),
    takesThree,
    ...[0, 1, 2].map((index) => client(onPart(index, index === rejected ? `${name} is bad` : undefined))),
    server.silent(),
    apply(resource('endpoint', name, 2)),
    accepted({ type: 'endpoint', resources: [resource('endpoint', name, 2)] }),
    server.silent(),
    statusOf('endpoint', (status) => expect(status.acked).toBe(status.sent)),
  )
}

const route = routeTo('r', 'd')
const clusterParts: Step = step('clusters c and d come, each for itself', async (world) => {
  for (const name of ['c', 'd']) {
    expect(namesOf((await world.client('client').take()).resources)).toEqual([name])
  }
})
const onCluster = (index: number, error?: string) =>
  client((memory) => ({
    type: 'cluster',
    nonce: memory.all('cluster')[index]?.nonce ?? '',
    ...(error !== undefined && { error }),
  }))

for (const isRejected of [false, true]) {
  transcript(
    `rules 19 and 71: a route waits for the last part of the clusters, ${isRejected ? 'when the first was rejected too' : 'not for the first'}`,
    { protocol: 'delta', server: small },
    given(resource('cluster', 'a'), routeTo('r', 'a')),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a'] }),
    client({ type: 'route', subscribe: ['r'] }),
    accepted({ type: 'route', resources: ['r'] }),
    server.silent(),
    apply(resource('cluster', 'c'), resource('cluster', 'd'), route),
    clusterParts,
    isRejected ? onCluster(1, 'Error adding/updating cluster(s) c: no') : onCluster(1),
    server.silent(),
    onCluster(2),
    accepted({ type: 'route', resources: [route] }),
    server.silent(),
  )
}
