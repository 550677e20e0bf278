import { beforeAll, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/proxy/config/field-reader.ts'
import { createListenerManager } from '../../../src/proxy/listener/listener-manager.ts'
import { networkFilterKinds } from '../../../src/proxy/network-filter-kinds.ts'
import { createConnections } from '../../../src/proxy/upstream/connections.ts'
import { type Certificate, type CertificateAuthority, createAuthority } from '../../support/certificates.ts'
import { createManualDiscovery } from '../../support/manual-discovery.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { createBedSecrets, createProxyContext } from '../../support/proxy-bed.ts'
import { validateWithEnvoy } from '../../support/validate-with-envoy.ts'

const any = (type: string, rest: JsonObject = {}): JsonObject => ({ '@type': `type.googleapis.com/${type}`, ...rest })
const filters: readonly JsonObject[] = [
  {
    name: 'tcp',
    typed_config: any('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 'x', cluster: 'c' }),
  },
]
const address = (text: string): JsonObject => ({ socket_address: { address: text, port_value: 0 } })
const chain = (name: string, match?: JsonObject): JsonObject => ({
  name,
  filters,
  ...(match && { filter_chain_match: match }),
})
const matched = (match: JsonObject): readonly JsonObject[] => [chain('x', match), chain('y', match)]

interface Material {
  readonly one: Certificate
  readonly other: Certificate
  readonly authority: CertificateAuthority
}

const inline = (content: string): JsonObject => ({ inline_string: content })
const secured = (common: JsonObject, rest: JsonObject = {}): JsonObject => ({
  ...chain('x'),
  transport_socket: {
    name: 'tls',
    typed_config: any('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      common_tls_context: common,
      ...rest,
    }),
  },
})
const pair = (certificate: string, key: string): JsonObject => ({
  tls_certificates: [{ certificate_chain: inline(certificate), private_key: inline(key) }],
})
const own = ({ one }: Material): JsonObject => pair(one.certificate, one.key)
const checking = (material: Material, context: JsonObject): JsonObject =>
  secured({ ...own(material), validation_context: context })

/** What stands in a listener in place of chains that are right. */
const cases: Readonly<Record<string, (material: Material) => JsonObject>> = {
  'no chain': () => ({ filter_chains: [] }),
  'two chains for all': () => ({ filter_chains: [chain('x'), chain('y')] }),
  'two chains for the same': () => ({
    filter_chains: matched({
      server_names: ['a', '*.b'],
      destination_port: 80,
      prefix_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }],
      source_type: 'EXTERNAL',
      source_ports: [1, 2],
    }),
  }),
  'two chains for names in another order': () => ({
    filter_chains: [chain('x', { server_names: ['a', 'b'] }), chain('y', { server_names: ['b', 'a'] })],
  }),
  'two chains that overlap': () => ({
    filter_chains: [chain('x', { server_names: ['a', 'b'] }), chain('y', { server_names: ['b', 'c'] })],
  }),
  'a chain for all of IPv4 beside one for all': () => ({
    filter_chains: [chain('x'), chain('y', { prefix_ranges: [{ address_prefix: '0.0.0.0', prefix_len: 0 }] })],
  }),
  'half a label': () => ({ filter_chains: [chain('x', { server_names: ['a*.b'] })] }),
  'a star alone': () => ({ filter_chains: [chain('x', { server_names: ['*'] })] }),
  'a name in capitals': () => ({ filter_chains: [chain('x', { server_names: ['A.b'] })] }),
  'an address that is none': () => ({ address: address('foo'), filter_chains: [chain('x')] }),
  'no certificate': () => ({ filter_chains: [secured({})] }),
  'the key of another certificate': ({ one, other }) => ({
    filter_chains: [secured(pair(one.certificate, other.key))],
  }),
  'a certificate that is none': ({ one }) => ({ filter_chains: [secured(pair('x', one.key))] }),
  'a key that is none': ({ one }) => ({ filter_chains: [secured(pair(one.certificate, 'x'))] }),
  'no key': ({ one }) => ({
    filter_chains: [secured({ tls_certificates: [{ certificate_chain: inline(one.certificate) }] })],
  }),
  'a key alone': ({ one }) => ({
    filter_chains: [secured({ tls_certificates: [{ private_key: inline(one.key) }] })],
  }),
  'a CA that is none': (material) => ({ filter_chains: [checking(material, { trusted_ca: inline('x') })] }),
  'a CA that is not there': (material) => ({
    filter_chains: [checking(material, { trusted_ca: { filename: '/no/such/file' } })],
  }),
  'names without a CA': (material) => ({
    filter_chains: [
      checking(material, { match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'a' } }] }),
    ],
  }),
  'expired certificates without a CA': (material) => ({
    filter_chains: [checking(material, { allow_expired_certificate: true })],
  }),
  'client certificates without a CA': (material) => ({
    filter_chains: [secured(own(material), { require_client_certificate: true })],
  }),
  'ciphers that there are not': (material) => ({
    filter_chains: [
      secured({ ...own(material), tls_params: { cipher_suites: ['ECDHE-ECDSA-AES128-GCM-SHA256', 'NOPE', 'NADA'] } }),
    ],
  }),
}

describeWithEnvoy(
  'a reference proxy refuses, in the words of stock Envoy, or takes as it does: a listener with',
  (envoy) => {
    let material: Material

    beforeAll(async () => {
      const authority = await createAuthority()
      material = {
        authority,
        one: await authority.issue({ name: 'one' }),
        other: await authority.issue({ name: 'other' }),
      }
    })

    test.each(Object.keys(cases))('%s', async (name) => {
      const listener: JsonObject = { name: 'in', address: address('127.0.0.1'), ...cases[name]?.(material) }
      const cluster = { name: 'c', type: 'STATIC', connect_timeout: '1s' }
      const said = validateWithEnvoy(envoy, { static_resources: { listeners: [listener], clusters: [cluster] } })
      const refusal = await refusalOf(listener)
      if (said === '') expect(refusal).toBe('')
      else expect(said.split('\n').filter((line) => line.includes(refusal) && refusal !== '')).not.toEqual([])
    })
  },
)

/** What a reference proxy says of it; nothing where it takes it. */
async function refusalOf(listener: JsonObject): Promise<string> {
  const context = createProxyContext()
  const secrets = createBedSecrets()
  const manager = createListenerManager({
    context,
    clusters: { get: () => undefined, all: new Map() },
    connections: createConnections(context, secrets),
    discovery: createManualDiscovery(),
    secrets,
    networkFilters: networkFilterKinds,
  })
  try {
    manager.applyStatic([listener])
    return ''
  } catch (error) {
    return (error as Error).message
  } finally {
    await manager.close()
  }
}
