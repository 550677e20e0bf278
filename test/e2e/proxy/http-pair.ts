import { connect } from 'node:net'
import type { JsonObject } from '../../../src/proxy/config/field-reader.ts'
import { startEnvoy } from '../../support/envoy.ts'
import type { EnvoyProcess } from '../../support/envoy-process.ts'
import { type ManagerBed, startManagerBed } from '../../support/http-manager-bed.ts'
import { createBedCluster } from '../../support/proxy-bed.ts'

/** A stock Envoy and a connection manager of the reference proxy, of one configuration and before the same upstreams. */
export interface HttpPair {
  readonly envoy: EnvoyProcess
  readonly envoyPort: number
  readonly proxy: ManagerBed
  /** Both are sent these bytes; what each says until that is enough, it closes, or has been silent for a moment. */
  ask(
    bytes: string,
    isEnough?: (answer: string) => boolean,
  ): Promise<{ readonly envoy: string; readonly proxy: string }>
}

export interface PairOptions {
  /** Of the connection manager. */
  readonly config?: JsonObject
  /** Ports of upstreams by the names of their clusters. */
  readonly clusters: Readonly<Record<string, number>>
  /** Laid over each cluster. */
  readonly cluster?: JsonObject
}

const manager = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
const router = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router'

export async function startPair({ config = {}, clusters, cluster = {} }: PairOptions): Promise<HttpPair> {
  const whole: JsonObject = {
    stat_prefix: 'test',
    http_filters: [{ name: 'router', typed_config: { '@type': router } }],
    route_config: {
      name: 'r',
      validate_clusters: false,
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'cart' } }] },
      ],
    },
    ...config,
  }
  const address = (port: number): JsonObject => ({ socket_address: { address: '127.0.0.1', port_value: port } })
  const envoy = await startEnvoy({
    bootstrap: {
      node: { id: 'test', cluster: 'test' },
      static_resources: {
        listeners: [
          {
            name: 'l',
            address: address(0),
            filter_chains: [{ filters: [{ name: 'hcm', typed_config: { '@type': manager, ...whole } }] }],
          },
        ],
        clusters: Object.entries(clusters).map(([name, port]) => ({
          name,
          connect_timeout: '2s',
          type: 'STATIC',
          load_assignment: {
            cluster_name: name,
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
          },
          ...cluster,
        })),
      },
    },
    args: ['--file-flush-interval-msec', '50'],
  })
  await envoy.waitLive()
  const envoyPort = await envoy.listenerPort('l')
  const proxy = await startManagerBed({
    config: whole,
    clusters: (context) =>
      Object.entries(clusters).map(([name, port]) => createBedCluster(context, port, { name, ...cluster })),
  })
  return {
    envoy,
    envoyPort,
    proxy,
    async ask(bytes, isEnough = () => false) {
      const [ofEnvoy, ofProxy] = await Promise.all([
        exchange(envoyPort, bytes, isEnough),
        exchange(proxy.port, bytes, isEnough),
      ])
      return { envoy: ofEnvoy, proxy: ofProxy }
    },
  }
}

/** How long nothing may come before the answer counts as whole. */
const silenceMs = 400

function exchange(port: number, bytes: string, isEnough: (answer: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
    let answer = ''
    const end = (): void => {
      clearTimeout(silence)
      socket.destroy()
      resolve(answer)
    }
    let silence = setTimeout(end, 3 * silenceMs)
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      clearTimeout(silence)
      if (isEnough(answer)) end()
      else silence = setTimeout(end, silenceMs)
    })
    socket.on('error', end)
    socket.on('end', () => {
      answer += '<closed>'
      end()
    })
  })
}
