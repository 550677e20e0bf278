import { fileURLToPath } from 'node:url'
import {
  type Client,
  type ClientDuplexStream,
  credentials,
  status as grpcStatus,
  loadPackageDefinition,
  Server,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { HealthImplementation } from 'grpc-health-check'
import { expect, test, vi } from 'vitest'
import { atTestEnd } from '../support/at-test-end.ts'
import { problemsOf, rejections, startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import {
  ads,
  type Changes,
  cluster,
  document,
  endpoints,
  httpFilter,
  removed,
  routeConfiguration,
  routesTo,
  socketAddress,
} from '../support/documents.ts'
import { healthOf, listenGrpc } from '../support/grpc-health.ts'
import { eventually } from '../support/poll.ts'

type Serving = 'SERVING' | 'NOT_SERVING' | 'UNKNOWN'

interface GrpcBackend {
  readonly host: string
  readonly port: number
}

/** A gRPC server that says of itself whether it serves, by which it is known here. */
async function startGrpcBackend(status: Serving): Promise<GrpcBackend> {
  const server = new Server()
  new HealthImplementation({ '': status }).addToServer(server)
  return { host: '127.0.0.1', port: await listenGrpc(server) }
}

/** gRPC clients refuse a locality that is not there, and use none without a weight. */
function weightedEndpoints(clusterName: string, ...backends: readonly GrpcBackend[]): Changes {
  const lb_endpoints = backends.map((backend) => ({
    endpoint: { address: socketAddress(backend) },
    load_balancing_weight: 1,
  }))
  return {
    [`endpoint/${clusterName}`]: {
      '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
      cluster_name: clusterName,
      endpoints: [{ locality: { region: 'here' }, load_balancing_weight: 1, lb_endpoints }],
    },
  }
}

test('a prober is told SERVING once there is something to serve, and NOT_SERVING before', async () => {
  const store = createFileStore()
  const controlPlane = await startControlPlane(store.flags)
  const health = healthOf(controlPlane.server)
  expect(await health()).toBe('NOT_SERVING')
  await store.write({ ...cluster('shop'), ...endpoints('shop') })
  await controlPlane.pipeline.ready
  expect(await health()).toBe('SERVING')
})

test('a tool like grpcurl is told of the services by reflection', async () => {
  const store = createFileStore()
  await store.write({})
  const controlPlane = await startControlPlane(store.flags)
  const proto = new URL('../proto/grpc/reflection/v1/reflection.proto', import.meta.resolve('@grpc/reflection'))
  const loaded = loadPackageDefinition(loadSync(fileURLToPath(proto))) as unknown as {
    readonly grpc: { readonly reflection: { readonly v1: { readonly ServerReflection: typeof Client } } }
  }
  const client = new loaded.grpc.reflection.v1.ServerReflection(controlPlane.server, credentials.createInsecure())
  atTestEnd(() => client.close())
  const call = (
    client as unknown as { ServerReflectionInfo(): ClientDuplexStream<object, Listed> }
  ).ServerReflectionInfo()
  const services = new Promise<readonly string[]>((resolve, reject) => {
    call.on('error', reject)
    call.on('data', ({ listServicesResponse }: Listed) => resolve(listServicesResponse.service.map(({ name }) => name)))
  })
  call.write({ listServices: '*' })
  expect(await services).toEqual(
    expect.arrayContaining([
      'envoy.service.discovery.v3.AggregatedDiscoveryService',
      'envoy.service.cluster.v3.ClusterDiscoveryService',
      'envoy.service.secret.v3.SecretDiscoveryService',
    ]),
  )
  call.end()
})

interface Listed {
  readonly listServicesResponse: { readonly service: readonly { readonly name: string }[] }
}

test('a proxyless gRPC client finds its servers by xds:/// and follows every change of them', async () => {
  const [one, two, three] = [
    await startGrpcBackend('SERVING'),
    await startGrpcBackend('NOT_SERVING'),
    await startGrpcBackend('UNKNOWN'),
  ]
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'shop',
    http_filters: [{ name: 'router', typed_config: httpFilter('router.v3.Router') }],
  }
  const shopBy = (routes: string): Changes =>
    document('listener', 'config.listener.v3.Listener', 'shop', {
      api_listener: { api_listener: { ...manager, rds: { route_config_name: routes, config_source: ads } } },
    })
  const store = createFileStore()
  await store.write({
    ...cluster('shop'),
    ...weightedEndpoints('shop', one),
    ...routeConfiguration('shop', routesTo('shop')),
    ...shopBy('shop'),
  })
  const controlPlane = await startControlPlane(store.flags)
  const bootstrap = {
    xds_servers: [
      { server_uri: controlPlane.server, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] },
    ],
    node: { id: 'client-1', cluster: 'edge', locality: {} },
  }
  vi.stubEnv('GRPC_XDS_BOOTSTRAP_CONFIG', JSON.stringify(bootstrap))
  const { register } = await import('@grpc/grpc-js-xds')
  register()
  const health = healthOf('xds:///shop')
  /** Of several answers in a row, who gave them. */
  const answers = async (): Promise<string> => {
    const given: string[] = []
    for (let asked = 0; asked < 8; asked++) given.push(await health())
    return [...new Set(given)].sort().join()
  }
  const becomes = (...wanted: readonly Serving[]): Promise<unknown> =>
    eventually(async () => {
      expect(await answers()).toBe([...wanted].sort().join())
      return true
    })
  await becomes('SERVING')

  // Endpoints.
  await store.write(weightedEndpoints('shop', two))
  await becomes('NOT_SERVING')
  await store.write(weightedEndpoints('shop', one, two))
  await becomes('SERVING', 'NOT_SERVING')
  await store.write(weightedEndpoints('shop', one))
  await becomes('SERVING')

  // Routes: to a cluster that is new in the same write, while the old one goes; by the method; by weights.
  await store.write({
    ...cluster('next'),
    ...weightedEndpoints('next', two),
    ...routeConfiguration('shop', routesTo('next')),
    ...removed('cluster/shop', 'endpoint/shop'),
  })
  await becomes('NOT_SERVING')
  const byMethod = [
    { match: { prefix: '/grpc.health.v1.Health/' }, route: { cluster: 'third' } },
    { match: { prefix: '' }, route: { cluster: 'next' } },
  ]
  await store.write({
    ...cluster('third'),
    ...weightedEndpoints('third', three),
    ...routeConfiguration('shop', { virtual_hosts: [{ name: 'all', domains: ['*'], routes: byMethod }] }),
  })
  await becomes('UNKNOWN')
  const clusters = ['next', 'third'].map((name) => ({ name, weight: 50 }))
  await store.write(routeConfiguration('shop', routesTo({ weighted_clusters: { clusters } })))
  await becomes('NOT_SERVING', 'UNKNOWN')

  // The service goes, and comes back: by other routes, for of a name that it has had this client asks no second time.
  await store.write(removed('listener/shop', 'route/shop'))
  await eventually(async () => {
    await expect(health()).rejects.toMatchObject({ code: grpcStatus.UNAVAILABLE })
    return true
  })
  await store.write({ ...shopBy('again'), ...routeConfiguration('again', routesTo('third')) })
  await eventually(async () => (await health().catch(() => '')) === 'UNKNOWN')

  expect(await rejections(controlPlane)).toBe(0)
  expect(problemsOf(controlPlane)).toEqual([])
})
