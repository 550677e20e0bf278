import type { ResourceWord } from '../../src/resource/type-url.ts'
import { asks, protocols } from '../support/conversation.ts'
import { edsCluster, resource, routeTo } from '../support/resource.ts'
import { accepted, client, given, server, transcript } from '../support/transcript.ts'

const world = given(
  edsCluster('a'),
  resource('endpoint', 'a'),
  resource('listener', 'a', {
    api_listener: {
      api_listener: {
        '@type':
          'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
        stat_prefix: 'a',
        rds: { route_config_name: 'a', config_source: { ads: {} } },
      },
    },
  }),
  routeTo('a', 'a'),
)

const orders: readonly (readonly ResourceWord[])[] = [
  ['endpoint', 'listener', 'route', 'cluster'],
  ['cluster', 'endpoint', 'listener', 'route'],
  ['route', 'cluster', 'listener', 'endpoint'],
  ['endpoint'],
  ['listener', 'route'],
]

for (const protocol of protocols) {
  for (const order of orders) {
    // In delta an assignment whose cluster comes after it is said again (rule 58).
    const isAgain =
      protocol === 'delta' && order.includes('endpoint') && order.indexOf('cluster') > order.indexOf('endpoint')
    transcript(
      `rule 6: the first request of each type is answered at once in the order ${order.join(', ')} (${protocol})`,
      protocol,
      world,
      ...order.flatMap((type) => [client(asks(type, 'a')), ...accepted({ type, resources: ['a'] })]),
      isAgain ? accepted({ type: 'endpoint', resources: ['a'] }) : [],
      server.silent(),
    )
  }

  transcript(
    `rule 6: after a reconnect the types may come in any order, with what the client had (${protocol})`,
    protocol,
    world,
    ...(['cluster', 'endpoint'] as const).flatMap((type) => [
      client(asks(type, 'a')),
      ...accepted({ type, resources: ['a'] }),
    ]),
    client.resets(),
    client((memory, spoken) => ({
      ...asks('endpoint', 'a')(memory, spoken),
      ...(spoken === 'sotw' && { version: memory.last('endpoint').version }),
    })),
    accepted({ type: 'endpoint', resources: ['a'] }),
    client(asks('listener', 'a')),
    accepted({ type: 'listener', resources: ['a'] }),
    client(asks('route', 'a')),
    accepted({ type: 'route', resources: ['a'] }),
    server.silent(),
  )
}
