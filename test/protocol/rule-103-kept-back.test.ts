import type { Resource } from '../../src/resource/resource.ts'
import { asks, protocols, verdicts } from '../support/conversation.ts'
import { resource, routeTo } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  forNodes,
  given,
  type Memory,
  nack,
  removed,
  type Says,
  type Step,
  server,
  step,
  stream,
  transcript,
} from '../support/transcript.ts'
import type { Protocol } from '../support/wire-client.ts'

const other = stream('other', { id: 'envoy-2', cluster: 'edge' })

/** As Envoy says it: the rest of the response was applied. */
const listed = (type: string, name: string): string => `Error adding/updating ${type}(s) ${name}: no such thing`

/** As Envoy says it when it rejects the whole response. */
const dumped = (name: string): string =>
  `goo.gle/debugstr  \nname: "${name}"\nconnect_timeout {\n}\n: Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)`

/** Asks for a type as a client that comes back does. */
const resumes =
  (type: string) =>
  (memory: Memory, protocol: Protocol): Says =>
    protocol === 'sotw'
      ? { type, version: memory.accepted(type)?.version ?? '' }
      : { type, initialVersions: memory.versions(type) }

for (const protocol of protocols) {
  /** A full state has the others too. */
  const beside = (...names: readonly string[]): readonly string[] => (protocol === 'sotw' ? names : [])

  for (const type of ['cluster', 'listener'] as const) {
    const [good, bad] = [resource(type, 'good'), resource(type, 'bad')]
    const [good2, bad2, bad3] = [resource(type, 'good', 2), resource(type, 'bad', 2), resource(type, 'bad', 3)]
    const full = (...resources: readonly Resource[]): readonly Resource[] => (protocol === 'sotw' ? resources : [])
    const rejected: readonly Step[] = [
      given(good, bad),
      client({ type }),
      ...accepted({ type, resources: ['good', 'bad'] }),
      apply(bad2),
      server({ type, resources: [bad2, ...beside('good')] }),
      client(nack(listed(type, 'bad'))),
      server.silent(),
    ]

    transcript(
      `rule 103: a rejected ${type} stays as it was accepted, also when its neighbours change (${protocol})`,
      protocol,
      rejected,
      apply(good2),
      accepted({ type, resources: [good2, ...full(bad)] }),
      apply(resource(type, 'new')),
      accepted({ type, resources: ['new', ...full(good2, bad)] }),
      server.silent(),
      verdicts(`ack ${type}`, `nack ${type}`, `ack ${type}`, `ack ${type}`),
    )

    transcript(
      `rule 103: a ${type} that was mended is sent (${protocol})`,
      protocol,
      rejected,
      apply(bad3),
      accepted({ type, resources: [bad3, ...beside('good')] }),
      server.silent(),
    )

    transcript(
      `rule 103: after the ${type} was mended the rejected content is known still (${protocol})`,
      protocol,
      rejected,
      apply(bad3),
      accepted({ type, resources: [bad3, ...beside('good')] }),
      apply(bad2),
      server.silent(),
      apply(good2),
      accepted({ type, resources: [good2, ...full(bad3)] }),
    )

    transcript(
      `rule 103: a rejected ${type} is not sent to the node when it comes back (${protocol})`,
      protocol,
      rejected,
      client.resets(),
      client(resumes(type)),
      accepted({ type, resources: full(good, bad) }),
      server.silent(),
      apply(good2),
      accepted({ type, resources: [good2, ...full(bad)] }),
    )

    transcript(
      `rule 103: a client that comes back keeps what it had of a ${type} that it rejects in its first answer, and the others go on (${protocol})`,
      protocol,
      given(good, bad),
      client({ type }),
      accepted({ type, resources: ['good', 'bad'] }),
      client.resets(),
      apply(bad2, resource(type, 'new')),
      client(resumes(type)),
      server({ type, resources: [bad2, 'new', ...beside('good')] }),
      client(nack(`${listed(type, 'bad')}${type === 'cluster' ? ', ' : '\n'}new: no such thing`)),
      server.silent(),
      apply(good2),
      accepted({ type, resources: [good2, ...full(bad)] }),
      server.silent(),
    )

    transcript(
      `rule 103: a client that rejected one ${type} and, when it is back, another one keeps what it had of both (${protocol})`,
      protocol,
      rejected,
      client.resets(),
      apply(good2),
      client(resumes(type)),
      server({ type, resources: [good2, ...full(bad)] }),
      client(nack(listed(type, 'good'))),
      server.silent(),
      apply(resource(type, 'new')),
      accepted({ type, resources: ['new', ...full(good, bad)] }),
      server.silent(),
    )

    transcript(
      `rule 103: other nodes get the ${type} that one has rejected (${protocol})`,
      protocol,
      rejected,
      other.client({ type }),
      other.server({ type, resources: ['good', bad2] }),
    )

    transcript(
      `rule 103: a ${type} that was never accepted is left out (${protocol})`,
      protocol,
      given(good),
      client({ type }),
      accepted({ type, resources: ['good'] }),
      apply(bad2),
      server({ type, resources: [bad2, ...beside('good')] }),
      client(nack(listed(type, 'bad'))),
      server.silent(),
      apply(good2),
      accepted({ type, resources: [good2] }),
      server.silent(),
    )
  }

  const many = Array.from({ length: 1200 }, (_, index) => resource('cluster', `bad${index}`))
  const reasons = many.map(({ name }) => `${name}: no`).join(', ')
  transcript(
    `rule 103: as many clusters as were rejected are kept back at once (${protocol})`,
    protocol,
    given(resource('cluster', 'good'), ...many),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['good', ...many.map(({ name }) => name)] }),
    client(nack(`Error adding/updating cluster(s) ${reasons}`)),
    server.silent(),
    apply(resource('cluster', 'good', 2)),
    accepted({ type: 'cluster', resources: [resource('cluster', 'good', 2)] }),
    server.silent(),
    verdicts('nack cluster', 'ack cluster'),
  )

  const [atA, atB] = [{ cluster: 'a' }, { cluster: 'b' }]
  const [one, two] = [stream('one', { id: 'shared', ...atA }), stream('two', { id: 'shared', ...atB })]
  transcript(
    `rule 103: a client is not given what another one of its node.id has, of another group (${protocol})`,
    protocol,
    given(
      resource('cluster', 'x'),
      resource('cluster', 'w'),
      forNodes(atA, routeTo('r', 'x')),
      forNodes(atB, routeTo('r', 'w')),
    ),
    [one, two].flatMap((its) => [
      its.client(asks('cluster')),
      its.server({ type: 'cluster', resources: ['x', 'w'] }),
      its.client(ack()),
      its.client(asks('route', 'r')),
      its.server({ type: 'route', resources: ['r'] }),
      its.client(ack()),
      its.server.silent(),
    ]),
    apply(resource('cluster', 'y'), forNodes(atA, routeTo('r', 'y')), forNodes(atB, routeTo('r', 'y'))),
    [one, two].flatMap((its) => [
      its.server({ type: 'cluster', resources: ['y', ...beside('x', 'w')] }),
      its.client(nack(listed('cluster', 'y'))),
      its.server.silent(),
    ]),
    one.client.resets(),
    one.client(resumes('cluster')),
    one.server({ type: 'cluster', resources: beside('x', 'w') }),
    one.client(ack()),
    // As a client that has nothing of it says it.
    one.client(asks('route', 'r')),
    one.server({ type: 'route', resources: [routeTo('r', 'x')] }),
    one.client(ack()),
    one.server.silent(),
  )

  transcript(
    `rule 103: when a response was rejected as a whole, the others of it are sent again without the bad one (${protocol})`,
    protocol,
    given(resource('cluster', 'good'), resource('cluster', 'bad')),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['good', 'bad'] }),
    apply(resource('cluster', 'good', 2), resource('cluster', 'bad', 2), resource('cluster', 'new')),
    server({ type: 'cluster', resources: ['good', 'bad', 'new'] }),
    client(nack(dumped('bad'))),
    accepted({
      type: 'cluster',
      resources: [resource('cluster', 'good', 2), 'new', ...(protocol === 'sotw' ? [resource('cluster', 'bad')] : [])],
    }),
    server.silent(),
  )

  transcript(
    `rule 103: a route to a cluster that was rejected when it was new waits with it (${protocol})`,
    protocol,
    given(resource('cluster', 'x'), routeTo('r', 'x')),
    client(asks('cluster')),
    accepted({ type: 'cluster', resources: ['x'] }),
    client(asks('route', 'r', 'q')),
    accepted({ type: 'route', resources: ['r'], orAlso: [], removed: protocol === 'delta' ? ['q'] : [] }),
    apply(resource('cluster', 'y'), routeTo('r', 'y'), routeTo('q', 'x')),
    // The route that does not need it is not held up.
    step('the cluster and the other route come', async (world) => {
      const side = world.client('client')
      const taken = [await side.take(), await side.take()]
      const cluster = taken.find(({ typeUrl }) => typeUrl.endsWith('.Cluster'))
      const route = taken.find(({ typeUrl }) => typeUrl.endsWith('.RouteConfiguration'))
      if (cluster === undefined || route === undefined) throw new Error('one of them did not come')
      const names = route.resources.map(({ name }) => name)
      if (names.join() !== 'q') throw new Error(`routes ${names.join()}`)
      side.say(ack({ type: 'route' })(side, protocol))
      side.say(nack(listed('cluster', 'y'), { type: 'cluster' })(side, protocol))
    }),
    server.silent(),
    apply(resource('cluster', 'y', 2)),
    accepted({ type: 'cluster', resources: [resource('cluster', 'y', 2), ...beside('x')] }),
    accepted({ type: 'route', resources: [routeTo('r', 'y')] }),
    server.silent(),
  )

  transcript(
    `rule 103: a client that let a route go is not given what it had of it when it rejects a new form, for what that names is gone (${protocol})`,
    protocol,
    given(resource('cluster', 'x'), resource('cluster', 'y'), routeTo('r', 'x'), routeTo('q', 'y')),
    client(asks('cluster')),
    accepted({ type: 'cluster', resources: ['x', 'y'] }),
    client(asks('route', 'r', 'q')),
    accepted({ type: 'route', resources: ['r', 'q'] }),
    client(protocol === 'sotw' ? { type: 'route', names: ['q'] } : { type: 'route', unsubscribe: ['r'] }),
    server.silent(),
    apply(removed('cluster', 'x'), routeTo('r', 'y')),
    accepted({ type: 'cluster', resources: beside('y'), removed: protocol === 'delta' ? ['x'] : [] }),
    client(protocol === 'sotw' ? { type: 'route', names: ['q', 'r'] } : { type: 'route', subscribe: ['r'] }),
    server({ type: 'route', resources: [routeTo('r', 'y')] }),
    client(nack('Only unique values for domains are permitted. Duplicate entry of domain * in route r')),
    server.silent(),
    apply(resource('cluster', 'z'), routeTo('r', 'z')),
    server({ type: 'cluster', resources: ['z', ...beside('y')] }),
    // The route waits for the new cluster, and nothing comes in its place.
    protocol === 'delta' ? accepted({ type: 'route', removed: ['r'] }) : server.silent(),
    client(ack({ type: 'cluster' })),
    accepted({ type: 'route', resources: [routeTo('r', 'z')] }),
    server.silent(),
  )
}

const [keptListener, lostListener] = [resource('listener', 'kept'), resource('listener', 'lost')]
transcript(
  'rule 103: what a client took of a response that it rejected is known when it comes back, though it says what it had before (delta)',
  'delta',
  given(keptListener, lostListener),
  client({ type: 'listener' }),
  accepted({ type: 'listener', resources: ['kept', 'lost'] }),
  apply(resource('listener', 'kept', 2), removed('listener', 'lost')),
  server({ type: 'listener', resources: ['kept'], removed: ['lost'] }),
  client(nack(listed('listener', 'kept'))),
  server.silent(),
  client.resets(),
  apply(lostListener),
  client({
    type: 'listener',
    initialVersions: { kept: keptListener.version, lost: lostListener.version },
  }),
  accepted({ type: 'listener', resources: [lostListener] }),
  server.silent(),
)

transcript(
  'rule 103: what a client has of an earlier server and rejects in a new form is not taken away (delta)',
  'delta',
  given(resource('listener', 'good'), resource('listener', 'bad', 2)),
  client({ type: 'listener', initialVersions: { good: 'elsewhere', bad: 'elsewhere' } }),
  server({ type: 'listener', resources: ['good', 'bad'] }),
  client(nack(listed('listener', 'bad'))),
  server.silent(),
  apply(resource('listener', 'good', 2)),
  accepted({ type: 'listener', resources: [resource('listener', 'good', 2)] }),
  server.silent(),
)

transcript(
  'rule 103: what a client has of an earlier server and rejects in a new form is not taken away: nothing of the type is sent until it is mended (sotw)',
  'sotw',
  given(resource('listener', 'good'), resource('listener', 'bad', 2)),
  client({ type: 'listener', version: 'elsewhere' }),
  server({ type: 'listener', resources: ['good', 'bad'] }),
  client(nack(listed('listener', 'bad'))),
  server.silent(),
  apply(resource('listener', 'good', 2)),
  server.silent(),
  server.warns(/nothing of type listener is sent until bad is mended/),
  apply(resource('listener', 'bad', 3)),
  accepted({ type: 'listener', resources: [resource('listener', 'good', 2), resource('listener', 'bad', 3)] }),
)
