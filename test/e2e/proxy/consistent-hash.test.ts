import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { xxHash64 } from '../../../src/proxy/balance/xx-hash.ts'
import { createClusterManager } from '../../../src/proxy/cluster/cluster-manager.ts'
import type { JsonObject } from '../../../src/proxy/config/field-reader.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { assignmentJson, type EndpointText, edsCluster } from '../../support/cluster-json.ts'
import { type EnvoyProcess, startEnvoy } from '../../support/envoy.ts'
import { createManualDiscovery } from '../../support/manual-discovery.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { createTestContext } from '../../support/proxy-context.ts'
import { tempDir } from '../../support/temp.ts'

const clusterName = 'sticky'
const parallel = 64
const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
/** The long form has the whole ten thousand. */
const [many, some] = isLong ? [10_000, 1000] : [1500, 250]

/** Seven hosts of different weights; some say themselves by what they are hashed. */
function sevenHosts(port: number): readonly EndpointText[] {
  return [3, 1, 2, 5, 1, 4, 7].map((weight, index) => ({
    at: `127.0.0.${index + 1}:${port}`,
    weight,
    hostname: `host-${index}.test`,
    ...(index === 4 && { labels: { hash_key: 'the fifth' } }),
  }))
}

const keysOf = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `key-${index * 7919}`)

/** What a test asks of either proxy. */
interface Chooser {
  /** The address of the host that each key goes to, in their order. */
  choose(keys: readonly string[]): Promise<readonly string[]>
  /** Resolves when these are the hosts. */
  become(hosts: readonly EndpointText[]): Promise<void>
}

/** One server at all addresses of loopback. */
async function startBackend(): Promise<number> {
  const server = createServer((_, response) => response.end())
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  atTestEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

async function startStock(cluster: JsonObject, hosts: readonly EndpointText[]): Promise<Chooser> {
  const file = join(tempDir(), 'eds.json')
  const write = (endpoints: readonly EndpointText[]): void => {
    const type = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment'
    writeFileSync(
      `${file}.new`,
      JSON.stringify({ resources: [{ '@type': type, ...assignmentJson(clusterName, endpoints) }] }),
    )
    renameSync(`${file}.new`, file)
  }
  write(hosts)
  const source = { path_config_source: { path: file }, resource_api_version: 'V3' }
  const envoy = await startEnvoy({
    bootstrap: {
      node: { id: 'a', cluster: 'a' },
      admin: {},
      static_resources: {
        clusters: [{ ...cluster, eds_cluster_config: { eds_config: source } }],
        listeners: [listenerJson()],
      },
    },
  })
  await envoy.waitLive()
  const port = await envoy.listenerPort('http')
  return {
    choose: (keys) => askAll(port, keys),
    become: async (endpoints) => {
      write(endpoints)
      await becomes(envoy, endpoints.length)
    },
  }
}

async function becomes(envoy: EnvoyProcess, count: number): Promise<void> {
  await envoy.waitForStat(`cluster.${clusterName}.membership_total`, (value) => value === count)
}

function listenerJson(): JsonObject {
  const route = { cluster: clusterName, hash_policy: [{ header: { header_name: 'x-key' } }] }
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'http',
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route }],
          response_headers_to_add: [{ header: { key: 'x-host', value: '%UPSTREAM_HOST%' } }],
        },
      ],
    },
  }
  return {
    name: 'http',
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
  }
}

async function askAll(port: number, keys: readonly string[]): Promise<readonly string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: parallel })
  const found: string[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < keys.length; at = next++) found[at] = await ask(agent, port, keys[at] as string)
  }
  await Promise.all(Array.from({ length: parallel }, work))
  agent.destroy()
  return found
}

function ask(agent: Agent, port: number, key: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ agent, port, host: '127.0.0.1', headers: { 'x-key': key } }, (response) => {
      response.resume()
      response.once('end', () => resolve(String(response.headers['x-host'])))
    })
      .once('error', reject)
      .end()
  })
}

async function startOwn(cluster: JsonObject, hosts: readonly EndpointText[]): Promise<Chooser> {
  const discovery = createManualDiscovery()
  const clusters = createClusterManager({ context: createTestContext(), discovery })
  atTestEnd(() => clusters.close())
  clusters.applyStatic([cluster])
  discovery.send('endpoint', clusterName, assignmentJson(clusterName, hosts))
  await clusters.initialized
  return {
    choose: async (keys) => {
      const cluster = clusters.get(clusterName)
      const hosts = await Promise.all(keys.map(async (key) => await cluster?.chooseHost({ hash: xxHash64(key) })))
      return hosts.map((host) => String(host?.address))
    },
    become: async (endpoints) => discovery.send('endpoint', clusterName, assignmentJson(clusterName, endpoints)),
  }
}

const policies = 'type.googleapis.com/envoy.extensions.load_balancing_policies'
const typed = (name: string, fields: JsonObject): JsonObject => ({
  load_balancing_policy: {
    policies: [{ typed_extension_config: { name, typed_config: { '@type': `${policies}.${name}`, ...fields } } }],
  },
})

describeWithEnvoy('consistent hashing', () => {
  describe('chooses the same host as stock Envoy for each key, before and after one host leaves', () => {
    it.each<readonly [policy: string, keys: number, fields: JsonObject]>([
      ['ring hash', many, typed('ring_hash.v3.RingHash', {})],
      ['Maglev', many, typed('maglev.v3.Maglev', {})],
      [
        'ring hash in the older form, of Murmur',
        some,
        { lb_policy: 'RING_HASH', ring_hash_lb_config: { hash_function: 'MURMUR_HASH_2' } },
      ],
      [
        'a ring that is smaller than its hosts want',
        some,
        typed('ring_hash.v3.RingHash', { minimum_ring_size: '64', maximum_ring_size: '100' }),
      ],
      [
        'Maglev of hostnames with a small table',
        some,
        typed('maglev.v3.Maglev', {
          table_size: '1009',
          consistent_hashing_lb_config: { use_hostname_for_hashing: true },
        }),
      ],
    ])('by %s, of %i keys', async (_, count, fields) => {
      const hosts = sevenHosts(await startBackend())
      const cluster = edsCluster(clusterName, fields)
      const keys = keysOf(count)
      const [stock, own] = [await startStock(cluster, hosts), await startOwn(cluster, hosts)]
      const before = await own.choose(keys)
      expect(new Set(before).size).toBe(7)
      expect(before).toEqual(await stock.choose(keys))

      const fewer = hosts.filter((_host, index) => index !== 3)
      await stock.become(fewer)
      await own.become(fewer)
      const after = await own.choose(keys)
      expect(new Set(after).size).toBe(6)
      expect(after).toEqual(await stock.choose(keys))
    })
  })
})
