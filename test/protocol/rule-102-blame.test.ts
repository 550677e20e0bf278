import { expect } from 'vitest'
import { asks, protocols, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  nack,
  type Step,
  server,
  step,
  transcript,
} from '../support/transcript.ts'

/** Of the only client, whom the server found to be rejected and what it says of it. */
function found(...expected: readonly { readonly name: string; readonly message: string }[]): Step {
  return step(`found to be rejected: ${expected.map(({ name }) => name).join(' ') || 'nobody'}`, (world) => {
    const rejected = world.server.status.nodes().flatMap((node) => node.rejected)
    expect(rejected.map(({ name, message, origin }) => ({ name, message, origin: origin.name }))).toEqual(
      expected.map(({ name, message }) => ({ name, message, origin: expect.stringContaining(`/${name}.yaml`) })),
    )
  })
}

const timeout =
  'Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)'
const v2 = (type: 'cluster' | 'route', ...names: readonly string[]) => names.map((name) => resource(type, name, 2))

for (const protocol of protocols) {
  const beside = (...names: readonly string[]): readonly string[] => (protocol === 'sotw' ? names : [])
  const clusters: readonly Step[] = [
    given(...['a', 'b', 'c'].map((name) => resource('cluster', name))),
    client({ type: 'cluster' }),
    ...accepted({ type: 'cluster', resources: ['a', 'b', 'c'] }),
  ]
  const routes: readonly Step[] = [
    given(...['p', 'q', 'r', 's'].map((name) => resource('route', name))),
    client(asks('route', 'p', 'q', 'r', 's')),
    ...accepted({ type: 'route', resources: ['p', 'q', 'r', 's'] }),
  ]

  transcript(
    `rule 102: those that Envoy lists are blamed, each with its reason, and the others are not sent again (${protocol})`,
    protocol,
    clusters,
    apply(...v2('cluster', 'a', 'b', 'c')),
    server({ type: 'cluster', resources: ['a', 'b', 'c'] }),
    client(nack('Error adding/updating cluster(s) a: ring hash: too small, c: Invalid path: /x')),
    server.silent(),
    found({ name: 'a', message: 'ring hash: too small' }, { name: 'c', message: 'Invalid path: /x' }),
  )

  transcript(
    `rule 102: the one that Envoy dumps is blamed, and the others are sent again (${protocol})`,
    protocol,
    clusters,
    apply(...v2('cluster', 'a', 'b', 'c')),
    server({ type: 'cluster', resources: ['a', 'b', 'c'] }),
    client(nack(`goo.gle/debugproto   \nname: "b"\ntype: STATIC\nconnect_timeout {\n}\n: ${timeout}`)),
    accepted({ type: 'cluster', resources: [...v2('cluster', 'a', 'c'), ...beside('b')] }),
    server.silent(),
    found({ name: 'b', message: timeout }),
  )

  transcript(
    `rule 102: the only one that was new is blamed whatever the client says (${protocol})`,
    protocol,
    clusters,
    apply(...v2('cluster', 'b')),
    server({ type: 'cluster', resources: ['b', ...beside('a', 'c')] }),
    client(nack('Invalid duration: Expected positive duration: goo.gle/debugstr  \nseconds: -1\n')),
    server.silent(),
    found({ name: 'b', message: 'Invalid duration: Expected positive duration:' }),
  )

  const twice = 'Only unique values for domains are permitted. Duplicate entry of domain a in route q'
  transcript(
    `rule 102: of whose domains Envoy complains is blamed at once (${protocol})`,
    protocol,
    routes,
    apply(...v2('route', 'p', 'q', 'r', 's')),
    server({ type: 'route', resources: ['p', 'q', 'r', 's'] }),
    client(nack(twice)),
    server({ type: 'route', resources: v2('route', 'p', 'r', 's') }),
    server.silent(),
    found({ name: 'q', message: twice }),
    client(ack({ type: 'route' })),
    server.silent(),
  )

  transcript(
    `rule 102: whom the message mentions is blamed when the others are accepted without it (${protocol})`,
    protocol,
    routes,
    apply(...v2('route', 'p', 'q', 'r', 's')),
    server({ type: 'route', resources: ['p', 'q', 'r', 's'] }),
    client(nack('q is odd')),
    server({ type: 'route', resources: v2('route', 'p', 'r', 's') }),
    server.silent(),
    found(),
    client(ack({ type: 'route' })),
    server.silent(),
    found({ name: 'q', message: 'q is odd' }),
  )

  transcript(
    `rule 102: where nobody is named, halves are sent until the one is found (${protocol})`,
    protocol,
    routes,
    apply(...v2('route', 'p', 'q', 'r', 's')),
    server({ type: 'route', resources: ['p', 'q', 'r', 's'] }),
    client(nack('missing ): (')),
    server.silent(),
    server({ type: 'route', resources: v2('route', 'p', 'q') }),
    client(ack({ type: 'route' })),
    server({ type: 'route', resources: v2('route', 'r') }),
    client(nack('missing ): (', { type: 'route' })),
    server({ type: 'route', resources: v2('route', 's') }),
    client(ack({ type: 'route' })),
    server.silent(),
    found({ name: 'r', message: 'missing ): (' }),
    verdicts('ack route', 'nack route', 'ack route', 'nack route', 'ack route'),
  )

  transcript(
    `rule 102: an ACK of what the client asks for no more says nothing of it, nor of the others (${protocol})`,
    protocol,
    routes,
    apply(...v2('route', 'p', 'q')),
    server({ type: 'route', resources: ['p', 'q'] }),
    client(nack('missing ): (')),
    server.silent(),
    server({ type: 'route', resources: v2('route', 'p') }),
    client(
      ack(protocol === 'sotw' ? { type: 'route', names: ['q', 'r', 's'] } : { type: 'route', unsubscribe: ['p'] }),
    ),
    server({ type: 'route', resources: v2('route', 'q') }),
    client(ack({ type: 'route' })),
    server.silent(),
    found(),
  )

  transcript(
    `rule 102: of clusters half is held back, as it was accepted (${protocol})`,
    protocol,
    clusters,
    apply(...v2('cluster', 'b', 'c')),
    server({ type: 'cluster', resources: ['b', 'c', ...beside('a')] }),
    client(nack('no reason')),
    server.silent(),
    server({
      type: 'cluster',
      resources: [...v2('cluster', 'b'), ...(protocol === 'sotw' ? ['a', resource('cluster', 'c')] : [])],
    }),
    client(ack({ type: 'cluster' })),
    server.silent(),
    found({ name: 'c', message: 'no reason' }),
  )

  transcript(
    `rule 102: what changes meanwhile is tried in its new form (${protocol})`,
    protocol,
    routes,
    apply(...v2('route', 'p', 'q')),
    server({ type: 'route', resources: ['p', 'q'] }),
    client(nack('missing ): (')),
    server.silent(),
    apply(resource('route', 'q', 3)),
    accepted({ type: 'route', resources: [resource('route', 'p', 2), resource('route', 'q', 3)] }),
    server.silent(),
    found(),
  )
}

const [old, mended] = [resource('cluster', 'a', 2), resource('cluster', 'a', 3)]

transcript(
  'rule 102: an error told late, with the nonce of a newer response that the client took, is of the older one (sotw)',
  { protocol: 'sotw', server: { ackWaitMs: { cluster: 50, other: 50 } } },
  given(resource('cluster', 'a')),
  client({ type: 'cluster' }),
  ...accepted({ type: 'cluster', resources: ['a'] }),
  apply(old),
  server({ type: 'cluster', resources: [old] }),
  apply(mended),
  server({ type: 'cluster', resources: [mended] }),
  // As Envoy 1.40 does: the newest nonce, the version that it took last, and what was wrong before.
  client((memory) => {
    const { nonce, version } = memory.last('cluster')
    return { type: 'cluster', nonce, version, error: 'Error adding/updating cluster(s) a: ring hash: too small' }
  }),
  server.silent(),
  found(),
  verdicts('ack cluster', 'ack cluster', 'nack cluster'),
  apply(old),
  server.silent(),
  found({ name: 'a', message: 'ring hash: too small' }),
)
