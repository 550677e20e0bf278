import { isIP } from 'node:net'
import { policiesWith } from '../balancing-policies.ts'
import type { Endpoint, HealthCheck, LoadBalancing, ServiceForm, ServicePolicy, UpstreamTls } from '../service-form.ts'
import { below, type Check, given, named } from './check.ts'
import { checkHash } from './check-common.ts'
import { checkHosts, checkName, checkNamesIn, checkReserved, checkUnique, isHost } from './check-names.ts'

export function checkService(check: Check, form: ServiceForm): void {
  checkReserved(check, 'name', form.name, ['mesh'])
  checkHosts(check, 'hosts', form.hosts, false)
  checkWhere(check, form)
  checkPolicy(check, '', form)
  checkForProtocol(check, '', form, form)
  for (const [index, { name, policy }] of (form.versions ?? []).entries()) {
    const path = `versions[${index}]`
    checkName(check, path, name)
    checkReserved(check, path, name, ['app', 'local', 'inbound', 'outbound', 'egress', 'passthrough', 'otlp', 'zipkin'])
    if (policy === undefined) continue
    checkPolicy(check, path, policy)
    checkForProtocol(check, path, policy, form)
    if (policy.loadBalancing?.hash !== undefined) {
      const message = 'What is hashed of a request cannot depend on the version, which is chosen first.'
      check.error(`${path}.loadBalancing.hash`, message, 'Write `hash` in the Service.')
    }
  }
}

function checkWhere(check: Check, form: ServiceForm): void {
  const { dns, endpoints, registry, versions } = form
  if (dns !== undefined) {
    for (const other of given({ endpoints, registry, versions }, ['endpoints', 'registry', 'versions'])) {
      const why =
        other === 'versions' ? 'the addresses of a name have no labels' : 'the endpoints are those of the name'
      check.error(other, `\`dns\` and \`${other}\` exclude each other: ${why}.`, 'Remove one of them.')
    }
    if (!isHost(dns.host)) check.error('dns.hostname', 'This is no host name.', 'Write a name such as `db.example`.')
  }
  if (registry !== undefined) checkName(check, 'registry.name', registry.name)
  for (const [index, endpoint] of (endpoints ?? []).entries()) checkEndpoint(check, `endpoints[${index}]`, endpoint)
  checkUnique(
    check,
    (endpoints ?? []).map(({ address, port }) => `${isIP(address) === 6 ? `[${address}]` : address}:${port}`),
    (index) => `endpoints[${index}]`,
  )
}

export function checkEndpoint(check: Check, path: string, { address, hostname }: Endpoint): void {
  if (!isHost(address)) {
    const hasPort = /^[^:]+:\d+$/.test(address)
    const fix = hasPort ? 'Move the port to `port`.' : 'Write an IP address or a host name.'
    check.error(`${path}.address`, 'This is no address.', fix)
  }
  if (hostname !== undefined && !isHost(hostname)) {
    check.error(`${path}.hostname`, 'This is no host name.', 'Write a name such as `cart-1.example`.')
  }
}

/** @param path of what holds the policy's fields. */
export function checkPolicy(check: Check, path: string, policy: ServicePolicy): void {
  const { outlierDetection } = policy
  checkLoadBalancing(check, below(path, 'loadBalancing'), policy.loadBalancing)
  checkHealth(check, below(path, 'healthCheck'), policy.healthCheck)
  if (typeof outlierDetection === 'object') {
    const { ejectionTime, maxEjectionTime } = outlierDetection
    if (ejectionTime !== undefined && maxEjectionTime !== undefined && maxEjectionTime < ejectionTime) {
      const at = below(path, 'outlierDetection.maxEjectionTime')
      check.error(at, '`maxEjectionTime` is less than `ejectionTime`.', 'Write a longer one, or remove it.')
    }
  }
  const { circuitBreaker } = policy
  if (circuitBreaker?.maxRetries !== undefined && circuitBreaker.retryBudget !== undefined) {
    const at = below(path, 'circuitBreaker.retryBudget')
    check.error(at, '`maxRetries` and `retryBudget` exclude each other.', 'Keep one of them.')
  }
  checkTls(check, below(path, 'tls'), policy.tls)
}

/** Settings of HTTP in a Service that passes on what it gets. */
const ofHttp: readonly (readonly [group: keyof ServicePolicy, fields: readonly string[]])[] = [
  ['circuitBreaker', ['maxRequests', 'maxRetries', 'retryBudget']],
  ['connectionPool', ['idleTimeout', 'maxRequestsPerConnection', 'maxConnectionAge', 'http2']],
  ['outlierDetection', ['consecutiveGatewayErrors']],
]

/** @param path of what holds the policy's fields: the Service, or one of its versions. */
function checkForProtocol(check: Check, path: string, policy: ServicePolicy, { protocol, tls }: ServiceForm): void {
  const isHttp = protocol !== 'tcp' && protocol !== 'tls'
  const unused = (field: string): void => {
    const fix = isHttp ? 'Remove it, or write `protocol: http2` or `grpc`.' : 'Remove it.'
    check.error(below(path, field), `It has no effect with the protocol \`${protocol}\`.`, fix)
  }
  for (const [group, fields] of isHttp ? [] : ofHttp) {
    const held = policy[group]
    if (typeof held === 'object') for (const field of given(held, fields)) unused(`${group}.${field}`)
  }
  if (protocol === 'tls' && policy.tls !== undefined) unused('tls')
  const isPlainHttp1 = protocol === 'http' && tls === undefined && policy.tls === undefined
  if (isPlainHttp1 && policy.connectionPool?.http2 !== undefined) unused('connectionPool.http2')
}

function checkLoadBalancing(check: Check, path: string, balancing: LoadBalancing | undefined): void {
  if (balancing === undefined) return
  const { policy = balancing.hash === undefined ? 'least-request' : 'maglev' } = balancing
  const onlyWith = (field: keyof LoadBalancing): void => {
    const policies = policiesWith[field] ?? []
    if (balancing[field] === undefined || policies.includes(policy)) return
    const message = `\`${field}\` has no effect with the policy \`${policy}\`.`
    check.error(below(path, field), message, `Remove it, or use the policy ${named(policies, 'or')}.`)
  }
  for (const field of ['slowStart', 'choices', 'hash', 'localityWeights'] as const) onlyWith(field)
  if (balancing.zoneAware !== false) for (const field of ['zoneAware', 'zoneMinEndpoints'] as const) onlyWith(field)
  if (balancing.localityWeights !== undefined && balancing.zoneAware === true) {
    const message = '`localityWeights` and `zoneAware` exclude each other.'
    check.error(below(path, 'localityWeights'), message, 'Keep one of them.')
  }
  if (balancing.zoneAware === false && balancing.zoneMinEndpoints !== undefined) {
    const message = '`zoneMinEndpoints` has no effect with `zoneAware: false`.'
    check.error(below(path, 'zoneMinEndpoints'), message, 'Remove it.')
  }
  checkHash(check, below(path, 'hash'), balancing.hash)
}

function checkTls(check: Check, path: string, tls: UpstreamTls | undefined): void {
  if (tls === undefined) return
  checkNamesIn(check, path, tls, ['ca', 'secret'])
  if (tls.sni !== undefined && (!isHost(tls.sni) || isIP(tls.sni) !== 0)) {
    check.error(`${path}.sni`, 'This is no name that can be asked for.', 'Write a host name such as `db.example`.')
  }
  for (const [index, name] of (tls.verify ?? []).entries()) {
    if (isHost(name) || /^[a-z][a-z0-9+.-]*:\/\/./.test(name)) continue
    const fix = 'Write a host name, an IP address, or a URI such as `spiffe://shop.example/cart`.'
    check.error(`${path}.verify[${index}]`, 'This is no name of a certificate.', fix)
  }
}

function checkHealth(check: Check, path: string, health: HealthCheck | undefined): void {
  for (const [index, status] of (health?.http?.statuses ?? []).entries()) {
    const [first, last] = status.split('-')
    if (last === undefined || Number(first) <= Number(last)) continue
    check.error(`${below(path, 'http.statuses')}[${index}]`, 'The range ends before it begins.', 'Swap its ends.')
  }
}
