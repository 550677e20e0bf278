import type { GatewayListener, ListenerTls } from '../../config/kinds/gateway-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { SecretFacet, SecretFacets } from '../contract.ts'
import { at, type EnvoyJson, placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { covers } from '../route/host-pattern.ts'
import { isUnready, secretReference } from '../secret/build-secret.ts'

export interface Chains {
  readonly chains: readonly EnvoyJson[]
  /** For clients whose name no chain is for. */
  readonly rest?: EnvoyJson
  readonly secrets: readonly string[]
  /** Those of them whose files were never right. */
  readonly unready: readonly string[]
  readonly problems: readonly PlacedProblem[]
}

/** A filter chain for each certificate of a listener, by the names that clients ask for. */
export function tlsChains(
  listener: GatewayListener,
  tls: ListenerTls,
  facets: SecretFacets,
  filters: readonly EnvoyJson[],
  from: SourcePlace,
): Chains {
  const problems = [...wrongSecrets(tls, facets, from), ...unreadySecrets(tls, facets, from)]
  const secrets = [...tls.secret, ...(tls.clientCa === undefined ? [] : [tls.clientCa])]
  const common = { secrets, unready: secrets.filter((name) => isUnready(facets.get(name))) }
  const chain = (index: number, names: readonly string[]): EnvoyJson => ({
    name: `tls:${names[0] ?? 'any'}`,
    ...(names.length > 0 && { filter_chain_match: { server_names: names } }),
    filters,
    transport_socket: tlsSocket(tls, index, from),
  })
  const hosts = listener.hosts?.includes('*') === true ? undefined : listener.hosts
  const [first, ...others] = tls.secret
  if (first === undefined) return { chains: [], ...common, problems }
  if (others.length === 0) return { chains: [chain(0, hosts ?? [])], ...common, problems }
  const names = namesOf(tls.secret, facets, hosts)
  const chains = names.flatMap((own, index) => (own.length > 0 ? [chain(index, own)] : []))
  const unused = names.flatMap((own, index) => (own.length > 0 ? [] : unusedSecret(tls, facets, index, from)))
  return { chains, ...(hosts === undefined && { rest: chain(0, []) }), ...common, problems: [...problems, ...unused] }
}

/** What each certificate is for: its own names that are served; of two certificates for a name the first has it. */
function namesOf(
  secrets: readonly string[],
  facets: SecretFacets,
  hosts: readonly string[] | undefined,
): readonly (readonly string[])[] {
  const own = secrets.map((name) => facets.get(name)?.dnsNames ?? [])
  const taken = new Set<string>()
  const names = own.map((list) => {
    const served = hosts === undefined ? list : hosts.filter((host) => list.some((name) => certifies(name, host)))
    const free = served.filter((name) => !taken.has(name))
    for (const name of free) taken.add(name)
    return free
  })
  // A host that no certificate names gets the first, so that clients are told which certificate it is.
  const left = hosts?.filter((host) => !taken.has(host)) ?? []
  return names.map((list, index) => (index === 0 ? [...list, ...left].sort() : list.toSorted()))
}

/** `*.a` is for one label below `a`. A pattern of hosts needs a certificate for the same. */
function certifies(name: string, host: string): boolean {
  if (name === host) return true
  return !host.startsWith('*') && covers(name, host) && !host.slice(0, 1 - name.length).includes('.')
}

function tlsSocket(tls: ListenerTls, index: number, from: SourcePlace): EnvoyJson {
  const { secret, minVersion, clientCa } = tls
  return at(within(from, 'tls'), {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: minVersion === '1.3' ? 'TLSv1_3' : 'TLSv1_2' },
        tls_certificate_sds_secret_configs: [
          at(within(from, `tls.secret[${index}]`), secretReference(secret[index] ?? '')),
        ],
        ...(clientCa !== undefined && {
          validation_context_sds_secret_config: at(within(from, 'tls.clientCa'), secretReference(clientCa)),
        }),
        alpn_protocols: ['h2', 'http/1.1'],
      },
      ...(clientCa !== undefined && { require_client_certificate: true }),
    },
  })
}

function wrongSecrets(tls: ListenerTls, facets: SecretFacets, from: SourcePlace): readonly PlacedProblem[] {
  const told = (path: string, facet: SecretFacet | undefined, isCa: boolean): readonly PlacedProblem[] => {
    if (facet === undefined || facet.isCa === isCa) return []
    const message = isCa
      ? `The Secret ${facet.name} holds a certificate, and no CA.`
      : `The Secret ${facet.name} holds a CA, and no certificate.`
    const fix = isCa ? 'Name a Secret with `ca`.' : 'Name a Secret with `certificate`.'
    return [{ severity: 'error', code: 'rule-violation', at: placeOf(within(from, path)), message, fix }]
  }
  return [
    ...tls.secret.flatMap((name, index) => told(`tls.secret[${index}]`, facets.get(name), false)),
    ...(tls.clientCa === undefined ? [] : told('tls.clientCa', facets.get(tls.clientCa), true)),
  ]
}

function unusedSecret(
  tls: ListenerTls,
  facets: SecretFacets,
  index: number,
  from: SourcePlace,
): readonly PlacedProblem[] {
  const name = tls.secret[index] ?? ''
  // That is told otherwise.
  if (isUnready(facets.get(name))) return []
  const message = `No client gets the certificate of the Secret ${name}: it has no name that is served and that none before it has.`
  const fix = 'Remove it, or add its names to `hosts`.'
  return [{ severity: 'warning', code: 'no-effect', at: placeOf(within(from, `tls.secret[${index}]`)), message, fix }]
}

function unreadySecrets(tls: ListenerTls, facets: SecretFacets, from: SourcePlace): readonly PlacedProblem[] {
  const { secret, clientCa } = tls
  const told = (name: string, path: string, message: string): readonly PlacedProblem[] => {
    if (!isUnready(facets.get(name))) return []
    const fix = 'Mend its files, as its own problem says: what needs them is left out until then, and comes by itself.'
    return [{ severity: 'warning', code: 'withheld', at: placeOf(within(from, path)), message, fix }]
  }
  const whoChecks = `No client gets in: the files of the Secret ${clientCa}, which they are checked by, were never right.`
  return [
    ...secret.flatMap((name, index) => {
      const message = `No client gets the certificate of the Secret ${name}: its files were never right.`
      return told(name, `tls.secret[${index}]`, message)
    }),
    ...(clientCa === undefined ? [] : told(clientCa, 'tls.clientCa', whoChecks)),
  ]
}
