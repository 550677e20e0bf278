import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createAuthority, writeAuthorities, writeCertificate } from '../../test/support/certificates.ts'
import { runCommand } from '../../test/support/command.ts'
import { tempDir } from '../../test/support/temp.ts'

const shop = `
kind: Service
name: cart
endpoints: [{address: 10.0.0.11, port: 8080}]
---
kind: Route
name: cart
gateways: edge
rules: [{backends: cart}]
---
kind: Gateway
name: edge
nodes: {cluster: edge, metadata: {env: prod}}
listeners: [{name: http, port: 8080}]
`

const xds = 'config_source: {ads: {}, resource_api_version: V3}'
const listenerWith = (manager: string): string => `
nodes: {cluster: edge}
resources:
- '@type': type.googleapis.com/envoy.config.listener.v3.Listener
  name: web
  address: {socket_address: {address: 127.0.0.1, port_value: 8080}}
  filter_chains:
  - filters:
    - name: http
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: web
        ${manager}
`

/** The path of a file with these documents. */
function file(text: string): string {
  const path = join(tempDir(), 'shop.yaml')
  writeFileSync(path, text)
  return path
}

const render = (config: string, ...flags: readonly string[]): ReturnType<typeof runCommand> =>
  runCommand(['render', '--static', '--node', 'edge', '--config', config, ...flags])

interface Bootstrap {
  readonly node: unknown
  readonly admin: unknown
  readonly dynamic_resources?: unknown
  readonly cluster_manager?: unknown
  readonly static_resources: {
    readonly clusters: readonly Record<string, unknown>[]
    readonly listeners: readonly Record<string, unknown>[]
    readonly secrets: readonly Record<string, unknown>[]
  }
}

async function rendered(config: string, ...flags: readonly string[]): Promise<Bootstrap> {
  const { code, out, err } = await render(config, ...flags)
  expect([code, err]).toEqual([0, ''])
  expect(out).not.toContain('"ads"')
  return JSON.parse(out) as Bootstrap
}

describe('fairlead render --static', () => {
  test('prints everything that one Envoy gets, and nothing that asks for more', async () => {
    const config = await rendered(file(shop), '--id', 'edge-1', '--metadata', 'env=prod', '--admin-port', '0')
    expect(config.node).toEqual({ id: 'edge-1', cluster: 'edge', metadata: { env: 'prod' } })
    expect(config.admin).toEqual({ address: { socket_address: { address: '127.0.0.1', port_value: 0 } } })
    expect(config).not.toHaveProperty('dynamic_resources')
    const { clusters, listeners } = config.static_resources
    expect(clusters).toMatchObject([
      { name: 'cart', type: 'STATIC', load_assignment: { endpoints: [{ lb_endpoints: [{}] }] } },
    ])
    expect(clusters[0]).not.toHaveProperty('eds_cluster_config')
    expect(JSON.stringify(listeners)).toContain('"route_config":{"name":"edge/http"')
  })

  test('prints what an Envoy of a region gets', async () => {
    const second = shop.replace('[{address', '[{region: us, address: 10.0.0.12, port: 8080}, {region: eu, address')
    const flags = ['--metadata', 'env=prod', '--region', 'eu']
    const { node, static_resources: resources } = await rendered(file(second), ...flags)
    expect(node).toMatchObject({ locality: { region: 'eu' } })
    expect(resources.clusters).toMatchObject([
      { load_assignment: { endpoints: [{ locality: { region: 'eu' } }, { locality: { region: 'us' }, priority: 1 }] } },
    ])
  })

  test('prints the peers of an Envoy that says which Service it is in front of, so that it prefers its zone', async () => {
    const flags = ['--metadata', 'env=prod', '--service', 'edge', '--zone', 'a', '--sub-zone', 'a1']
    const peers = '---\nkind: Service\nname: edge\nendpoints: [{zone: a, address: 10.0.0.1, port: 80}]\n'
    const config = await rendered(file(shop + peers), ...flags)
    expect(config.node).toMatchObject({
      metadata: { env: 'prod', fairlead: { service: 'edge' } },
      locality: { zone: 'a', sub_zone: 'a1' },
    })
    expect(config.cluster_manager).toEqual({ local_cluster_name: 'fairlead-local' })
    expect(config.static_resources.clusters).toMatchObject([
      { name: 'cart' },
      {
        name: 'fairlead-local',
        type: 'STATIC',
        load_assignment: { cluster_name: 'fairlead-local', endpoints: [{ locality: { zone: 'a' } }] },
      },
    ])
    // Of a Service that nobody has heard of there are no peers.
    const { static_resources: alone } = await rendered(file(shop), ...flags)
    expect(alone.clusters[1]).toMatchObject({ load_assignment: { cluster_name: 'fairlead-local' } })
    expect(await rendered(file(shop), '--metadata', 'env=prod')).not.toHaveProperty('cluster_manager')
  })

  test('has nothing for an Envoy that no document is for', async () => {
    const { code, err } = await render(file(shop))
    expect([code, err]).toEqual([1, 'fairlead: no document is for an Envoy with node.cluster edge and node.id edge\n'])
  })

  test('prints no part of a configuration that has errors', async () => {
    const { code, out, err } = await render(file(shop.replace('backends: cart', 'backends: crat')))
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('dangling-reference')
  })

  test('takes in virtual hosts, extensions and secrets that come one by one', async () => {
    const config = await rendered(
      file(`${listenerWith(`rds: {route_config_name: web, ${xds}}
        http_filters:
        - {name: lua, config_discovery: {${xds}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua]}}
        - {name: router, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`)}
    transport_socket:
      name: tls
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
        common_tls_context: {tls_certificate_sds_secret_configs: [{name: cert, sds_config: {ads: {}, resource_api_version: V3}}]}
- '@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: web
  vhds: {${xds}}
- '@type': type.googleapis.com/envoy.config.route.v3.VirtualHost
  name: web/shop.example
  domains: [shop.example]
- '@type': type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
  name: lua
  typed_config:
    '@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code: {inline_string: "-- nothing"}
- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: cert
  tls_certificate: {certificate_chain: {filename: tls.crt}, private_key: {filename: tls.key}}
`),
    )
    const { listeners, secrets } = config.static_resources
    const text = JSON.stringify(listeners)
    expect(text).toContain('"virtual_hosts":[{"name":"shop.example"')
    expect(text).toContain('-- nothing')
    expect(text).toContain('"tls_certificate_sds_secret_configs":[{"name":"cert"}]')
    expect(secrets).toMatchObject([{ name: 'cert', tls_certificate: { private_key: { filename: 'tls.key' } } }])
  })

  test('leaves routes that an Envoy reads from a file of its own where they are', async () => {
    const own = 'config_source: {path_config_source: {path: /etc/envoy/routes.yaml}, resource_api_version: V3}'
    const config = await rendered(
      file(`${listenerWith(`rds: {route_config_name: web, ${own}}
        http_filters:
        - {name: router, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`)}
- '@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: web
`),
    )
    const text = JSON.stringify(config.static_resources.listeners)
    expect(text).toContain('/etc/envoy/routes.yaml')
    expect(text).not.toContain('"route_config":')
  })

  test('says where only a control plane could answer', async () => {
    const scoped = `scoped_routes:
          name: s
          scope_key_builder: {fragments: [{header_value_extractor: {name: x, index: 0}}]}
          rds_config_source: {ads: {}, resource_api_version: V3}
          scoped_rds: {scoped_rds_config_source: {ads: {}, resource_api_version: V3}}`
    const { code, err } = await render(file(listenerWith(scoped)))
    expect(code).toBe(1)
    expect(err).toMatch(
      /cannot hold what is asked of a control plane at listener web: filter_chains\[0\]\..*1 place more/,
    )
  })

  test('prints a key that stands in a document only when it is asked to', async () => {
    const secret = `
nodes: {cluster: edge}
resources:
- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: cert
  tls_certificate: {certificate_chain: {inline_string: public}, private_key: {inline_string: a-key}}
---
${listenerWith(`route_config: {name: web}
        http_filters: [{name: router, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]`)}`
    const { code, out, err } = await render(file(secret))
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/secret cert of .*shop\.yaml holds a key: .*--inline-secrets/)
    const { static_resources: given } = await rendered(file(secret), '--inline-secrets')
    expect(given.secrets).toMatchObject([{ tls_certificate: { private_key: { inline_string: 'a-key' } } }])
  })

  test('has Envoy read the files of Secrets itself', async () => {
    const directory = tempDir()
    const authority = await createAuthority()
    const files = writeCertificate(directory, 'shop', await authority.issue({ name: 'shop', sans: ['shop.example'] }))
    const ca = writeAuthorities(directory, 'people', [authority])
    const documents = `
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners: [{name: https, port: 8443, protocol: https, tls: {secret: shop, clientCa: people}}]
---
kind: Secret
name: shop
certificate: {chain: {file: ${basename(files.certificate)}}, key: {file: ${basename(files.key)}}}
---
kind: Secret
name: people
ca: {file: ${basename(ca)}}
`
    const config = join(directory, 'edge.yaml')
    writeFileSync(config, documents)
    const { static_resources: given } = await rendered(config)
    expect(given.secrets).toEqual([
      { name: 'people', validation_context: { trusted_ca: { filename: ca } } },
      {
        name: 'shop',
        tls_certificate: { certificate_chain: { filename: files.certificate }, private_key: { filename: files.key } },
      },
    ])
    const inline = await rendered(config, '--inline-secrets')
    expect(JSON.stringify(inline.static_resources.secrets)).toContain('PRIVATE KEY')
  })

  test.each<[readonly string[], RegExp]>([
    [['render', '--node', 'edge', '--config', '.'], /required option '--static'/],
    [['render', '--static', '--config', '.'], /required option '--node <CLUSTER>'/],
    [['render', '--static', '--node', '', '--config', '.'], /--node is empty/],
    [['render', '--static', '--node', 'a', '--config', '.', '--metadata', 'x'], /Write KEY=VALUE/],
    [['render', '--static', '--node', 'a', '--config', '.', '--admin-port', 'x'], /--admin-port x is not a port/],
    [['render', '--static', '--node', 'a', '--config', '/nowhere'], /\/nowhere does not exist/],
  ])('is wrong use as %s', async (args, message) => {
    const { code, err } = await runCommand(args)
    expect(code).toBe(2)
    expect(err).toMatch(message)
  })
})
