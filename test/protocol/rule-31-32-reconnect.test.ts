import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, nack, type Step, server, transcript } from '../support/transcript.ts'

const all = [
  resource('cluster', 'a'),
  resource('listener', 'a'),
  resource('endpoint', 'a'),
  resource('route', 'a'),
  resource('secret', 'a', 1),
]
const first = (type: string): Step => client({ type, names: ['a'] })
const again = (type: string): Step =>
  client((memory) => ({ type, names: ['a'], version: memory.accepted(type)?.version ?? '' }))

for (const type of ['cluster', 'listener'] as const) {
  transcript(
    `rule 31: a ${type} that was rejected and reverted is sent in full on the next stream, at a matching version too`,
    'sotw',
    given(resource(type, 'a'), resource(type, 'b')),
    client({ type }),
    accepted({ type, resources: ['a', 'b'] }),
    apply(resource(type, 'a', 2)),
    server({ type, resources: ['a', 'b'] }),
    client(nack('a is bad')),
    server.silent(),
    client.resets(),
    apply(resource(type, 'a')),
    client((memory) => ({ type, version: memory.accepted(type)?.version ?? '' })),
    accepted({ type, resources: [resource(type, 'a'), 'b'] }),
  )
}

for (const type of ['cluster', 'listener', 'endpoint', 'route', 'secret'] as const) {
  transcript(
    `rule 32: the first request of ${type} is answered in full, whatever version it states`,
    'sotw',
    given(...all),
    first(type),
    accepted({ type, resources: ['a'] }),
    client.resets(),
    again(type),
    accepted({ type, resources: ['a'], version: 'same' }),
    client.resets(),
    client({ type, names: ['a'], version: '1' }),
    accepted({ type, resources: ['a'], version: 'same' }),
  )
}

const resume = { protocol: 'sotw', server: { sotwResume: true } } as const

for (const type of ['cluster', 'listener'] as const) {
  const wildcard = (version: (accepted: string) => string): Step =>
    client((memory) => ({ type, version: version(memory.accepted(type)?.version ?? '') }))

  transcript(
    `rule 32: with sotwResume a wildcard of ${type}s that the client has is skipped, and its next change is not`,
    resume,
    given(resource(type, 'a'), resource(type, 'b'), resource('secret', 's', 1)),
    client({ type }),
    accepted({ type, resources: ['a', 'b'] }),
    client.resets(),
    wildcard((version) => version),
    // A probe needs no answer of this type.
    server.silent(),
    apply(resource(type, 'a', 2)),
    accepted({ type, resources: [resource(type, 'a', 2), 'b'] }),
    client(ack()),
    server.silent(),
  )

  transcript(
    `rule 32: with sotwResume a version that counts, as of another server, skips no ${type}`,
    resume,
    given(resource(type, 'a')),
    client({ type, version: '1' }),
    accepted({ type, resources: ['a'] }),
  )

  transcript(
    `rule 32: with sotwResume a version of the past skips no ${type}`,
    resume,
    given(resource(type, 'a')),
    client({ type }),
    accepted({ type, resources: ['a'] }),
    client.resets(),
    apply(resource(type, 'a', 2)),
    wildcard((version) => version),
    accepted({ type, resources: [resource(type, 'a', 2)] }),
  )

  transcript(
    `rule 32: sotwResume skips no ${type} that is asked for by name`,
    resume,
    given(resource(type, 'a')),
    client({ type, names: ['a'] }),
    accepted({ type, resources: ['a'] }),
    client.resets(),
    again(type),
    accepted({ type, resources: ['a'] }),
  )
}

transcript(
  'rule 32: sotwResume skips no assignments',
  resume,
  given(resource('endpoint', 'a')),
  client({ type: 'endpoint', names: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  client.resets(),
  again('endpoint'),
  accepted({ type: 'endpoint', resources: ['a'] }),
)
