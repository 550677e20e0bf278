import { expect } from 'vitest'
import { statusOf } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, client, given, nack, type Step, server, step, transcript } from '../support/transcript.ts'

const ttlMs = 2_000
const node = { id: 'envoy-1', cluster: 'edge', client_features: ['xds.config.resource-in-sotw'] }
const sotw = { protocol: 'sotw', node } as const
const brief = resource('listener', 'brief', 1, { ttlMs })
const others = [resource('listener', 'other'), resource('listener', 'third')]

/** All listeners with their bodies, at the version that the client has: to it, what is left out is deleted. */
const heartbeat: Step = server({
  type: 'listener',
  resources: [brief, ...others],
  version: 'same',
  where: ({ resources }) => {
    const ttls = resources.map(({ name, isWrapped, ttlMs: ttl }) => [name, isWrapped, ttl])
    expect(ttls).toEqual([
      ['brief', true, ttlMs],
      ['other', false, undefined],
      ['third', false, undefined],
    ])
  },
})

transcript(
  'rule 84: over SotW a heartbeat of one listener is the full state, so that nothing reads as deleted',
  sotw,
  given(brief, ...others),
  client({ type: 'listener' }),
  accepted({ type: 'listener', resources: [brief, ...others] }),
  heartbeat,
  client(ack()),
  heartbeat,
  client(ack()),
  server.silent(),
  statusOf('listener', ({ acked, sent }) => expect(acked).toBe(sent)),
)

transcript(
  'rule 84: it comes though the ACK is withheld, as Envoy does while clusters warm',
  sotw,
  given(resource('cluster', 'brief', 1, { ttlMs }), resource('cluster', 'other')),
  client({ type: 'cluster' }),
  server({ type: 'cluster', resources: ['brief', 'other'] }),
  server({ type: 'cluster', resources: ['brief', 'other'], version: 'same' }),
  client(ack()),
  server.silent(),
  statusOf('cluster', ({ acked, sent }) => expect(acked).toBe(sent)),
)

transcript(
  'rule 84: of a type that may be partial it has what expires, and nothing else',
  sotw,
  given(resource('runtime', 'brief', 1, { ttlMs }), resource('runtime', 'other')),
  client({ type: 'runtime', names: ['brief', 'other'] }),
  accepted({ type: 'runtime', resources: ['brief', 'other'] }),
  accepted({ type: 'runtime', resources: [resource('runtime', 'brief', 1, { ttlMs })], version: 'same' }),
  server.silent(),
)

transcript(
  'rule 84: what was rejected does not come again as a heartbeat',
  sotw,
  given(brief),
  client({ type: 'listener' }),
  server({ type: 'listener', resources: [brief] }),
  client(nack('it is wrong')),
  step('a TTL passes', () => new Promise((resolve) => setTimeout(resolve, ttlMs))),
  server.silent(),
)
