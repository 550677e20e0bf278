import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, removed, server, transcript } from '../support/transcript.ts'

const type = 'endpoint'
const base = 'xdstp://shop/envoy.config.endpoint.v3.ClusterLoadAssignment'
const name = `${base}/cart?env=prod&zone=a`

const others: Readonly<Record<string, string>> = {
  'another authority': name.replace('shop', 'bakery'),
  'another id': name.replace('cart', 'card'),
  'another value of a context parameter': name.replace('prod', 'test'),
  'a context parameter less': `${base}/cart?env=prod`,
  'a context parameter more': `${name}&zzz=1`,
  'no context parameter': `${base}/cart`,
}

for (const protocol of protocols) {
  transcript(
    `rule 49: an xdstp name is found by authority, type, id and context parameters (${protocol})`,
    protocol,
    given(resource(type, name, 1)),
    client(asks(type, name)),
    accepted({ type, resources: [name] }),
    apply(resource(type, name, 2)),
    accepted({ type, resources: [resource(type, name, 2)] }),
  )

  for (const [what, other] of Object.entries(others)) {
    transcript(
      `rule 49: with ${what} an xdstp name is another (${protocol})`,
      protocol,
      given(resource(type, name, 1), resource(type, 'x')),
      client(asks(type, other, 'x')),
      accepted({ type, resources: ['x'], ...(protocol === 'delta' && { removed: [other] }) }),
      server.silent(),
    )
  }

  const glob = `${base}/shop/*?env=prod`
  const member = (id: string): string => `${base}/shop/${id}?env=prod`
  transcript(
    `rule 49: a glob has the members of its collection under their own names, and gets adds and removals (${protocol})`,
    protocol,
    given(
      resource(type, member('a'), 1),
      resource(type, member('b'), 1),
      resource(type, `${base}/shop/c?env=test`, 1),
      resource(type, `${base}/shop/deeper/d?env=prod`, 1),
      resource(type, `${base}/bakery/e?env=prod`, 1),
      resource(type, 'plain', 1),
    ),
    client(asks(type, glob)),
    accepted({ type, resources: [member('a'), member('b')] }),
    server.silent(),
    apply(resource(type, member('f'), 1)),
    accepted({ type, resources: [member('f')] }),
    apply(resource(type, member('a'), 2)),
    accepted({ type, resources: [member('a')] }),
    apply(removed(type, member('b'))),
    // In SotW the absence of an assignment says nothing (rule 23).
    protocol === 'delta' ? accepted({ type, removed: [member('b')] }) : [],
    server.silent(),
  )

  const clusters = 'xdstp://shop/envoy.config.cluster.v3.Cluster/edge'
  transcript(
    `rule 49: a glob of clusters is a full state of its own (${protocol})`,
    protocol,
    given(resource('cluster', `${clusters}/a`), resource('cluster', `${clusters}/b`), resource('cluster', 'plain')),
    client(asks('cluster', `${clusters}/*`)),
    accepted({ type: 'cluster', resources: [`${clusters}/a`, `${clusters}/b`] }),
    apply(removed('cluster', `${clusters}/b`)),
    accepted(
      protocol === 'sotw'
        ? { type: 'cluster', resources: [`${clusters}/a`] }
        : { type: 'cluster', removed: [`${clusters}/b`] },
    ),
  )
}
