import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript } from '../support/transcript.ts'

const type = 'virtualHost'
const hosts = given(resource(type, 'r/a.example', 1), resource(type, 'r/b.example', 1))

transcript(
  'rule 46: the empty first request of VHDS is no wildcard, and later names bring those only',
  'delta',
  hosts,
  client({ type }),
  accepted({ type }),
  server.silent(),
  client({ type, subscribe: ['r/a.example'] }),
  accepted({ type, resources: ['r/a.example'] }),
  apply(resource(type, 'r/b.example', 2)),
  server.silent(),
  apply(resource(type, 'r/a.example', 2)),
  accepted({ type, resources: ['r/a.example'] }),
)

transcript(
  'rule 46: on the service of its own too',
  { protocol: 'delta', service: 'virtualHost' },
  hosts,
  client({}),
  server({ type }),
  client({ subscribe: ['r/a.example'] }),
  server({ type, resources: ['r/a.example'] }),
  server.silentToTheEnd(),
)

transcript(
  'rule 46: who names * wants all virtual hosts',
  'delta',
  hosts,
  client({ type, subscribe: ['*'] }),
  accepted({ type, resources: ['r/a.example', 'r/b.example'] }),
)

transcript(
  'rule 46: of the route configurations that wait for their first virtual hosts it says that they have none yet',
  'delta',
  given(
    resource('route', 'r', { vhds: { config_source: { ads: {}, resource_api_version: 'V3' } } }),
    resource(type, 'r/a.example', 1),
  ),
  client({ type: 'route', subscribe: ['r'] }),
  accepted({ type: 'route', resources: ['r'] }),
  client({ type }),
  accepted({ type, removed: ['r/-'] }),
  server.silent(),
)

transcript(
  'rule 46: and of one that comes later, for Envoy asks but once',
  'delta',
  given(
    resource('route', 'r', { vhds: { config_source: { ads: {}, resource_api_version: 'V3' } } }),
    resource('route', 's', { vhds: { config_source: { ads: {}, resource_api_version: 'V3' } } }),
    resource('route', 'plain', 1),
  ),
  client({ type: 'route', subscribe: ['r'] }),
  accepted({ type: 'route', resources: ['r'] }),
  client({ type }),
  accepted({ type, removed: ['r/-'] }),
  client({ type: 'route', subscribe: ['plain'] }),
  accepted({ type: 'route', resources: ['plain'] }),
  server.silent(),
  client({ type: 'route', subscribe: ['s'] }),
  accepted({ type: 'route', resources: ['s'] }),
  accepted({ type, removed: ['s/-'] }),
  server.silent(),
)
