import type { MapTree, Tree } from '../../resource/tree.ts'
import { entryOf } from '../../resource/tree.ts'
import type { Kind, KindForm } from './kind-form.ts'
import type { Plain } from './plain-message.ts'

/**
 * The form of a kind's plain message. It says what the document says, but for defaults that are about the document alone:
 * a Service's protocol, a Route's hosts, a listener's protocol, an inbound entry's Service.
 * @param tree the normal form that it was read from, whose parts a Patch keeps; without one they stand at line 1.
 */
export function formOf(kind: Kind, plain: Plain, tree?: MapTree): KindForm {
  return { ...forms[kind](plain, tree), kind } as KindForm
}

const forms: { readonly [K in Kind]: (plain: Plain, tree: MapTree | undefined) => object } = {
  Mesh: meshForm,
  Service: serviceForm,
  Route: routeForm,
  Gateway: gatewayForm,
  Sidecar: sidecarForm,
  Secret: (plain) => plain,
  Patch: patchForm,
  Instance: (plain) => plain,
}

/** `mtls: disabled` and no `trustDomain` is all that there is of these. */
function meshForm({ tracing, defaults, egress, ...rest }: Plain): object {
  const plain = Object.fromEntries(Object.entries(rest).filter(([key]) => !['mtls', 'trustDomain'].includes(key)))
  return {
    ...plain,
    ...(tracing !== undefined && { tracing: tracingOf(tracing) }),
    ...(defaults !== undefined && { defaults: meshDefaultsOf(defaults) }),
    ...(egress !== undefined && { egress: egressOf(egress) }),
  }
}

function meshDefaultsOf(defaults: unknown): object {
  const { service, ...rest } = defaults as Plain
  return service === undefined ? rest : { ...rest, service: policyOf(service as Plain) }
}

function tracingOf(tracing: unknown): object {
  const { otlp, zipkin, ...rest } = tracing as Plain
  return {
    ...rest,
    ...(otlp !== undefined && { otlp: (otlp as Plain)['address'] }),
    ...(zipkin !== undefined && { zipkin: (zipkin as Plain)['address'] }),
  }
}

/** What of a Service, a version or the Mesh's defaults is about how it is called. */
function policyOf({ outlierDetection, healthCheck, ...policy }: Plain): object {
  return {
    ...policy,
    ...(healthCheck !== undefined && { healthCheck: healthCheckOf(healthCheck) }),
    ...(outlierDetection !== undefined && { outlierDetection: detectionOf(outlierDetection) }),
  }
}

function healthCheckOf(healthCheck: unknown): object {
  const { tcp, ...rest } = healthCheck as Plain
  return tcp === undefined ? rest : { ...rest, tcp: true }
}

function detectionOf(detection: unknown): 'off' | object {
  const { off, ...rest } = detection as Plain
  return off === true ? 'off' : rest
}

function serviceForm({ protocol = 'http', hosts, dns, registry, versions, ...plain }: Plain): object {
  return {
    ...policyOf(plain),
    protocol,
    ...(hosts !== undefined && { hosts: lowercase(hosts) }),
    ...(dns !== undefined && { dns: dnsOf(dns) }),
    ...(registry !== undefined && { registry: { name: plain['name'], ...(registry as Plain) } }),
    ...(versions !== undefined && { versions: (versions as readonly Plain[]).map(versionOf) }),
  }
}

function dnsOf(dns: unknown): object {
  const { hostname, ...rest } = dns as Plain
  return { host: hostname, ...rest }
}

function versionOf({ name, labels = {}, ...plain }: Plain): object {
  const policy = policyOf(plain)
  return { name, labels, ...(Object.keys(policy).length > 0 && { policy }) }
}

function routeForm({ hosts = ['*'], rules = [], ...plain }: Plain): object {
  return { ...plain, hosts: lowercase(hosts), rules: (rules as readonly Plain[]).map(ruleOf) }
}

const lowercase = (hosts: unknown): readonly string[] => (hosts as readonly string[]).map((host) => host.toLowerCase())

function ruleOf({ match = [], backends, redirect, respond, ...plain }: Plain): object {
  return { ...plain, match: (match as readonly Plain[]).map(matchOf), action: actionOf(backends, redirect, respond) }
}

function actionOf(backends: unknown, redirect: unknown, respond: unknown): object {
  if (redirect !== undefined) return { kind: 'redirect', redirect }
  if (respond !== undefined) return { kind: 'respond', respond }
  return { kind: 'forward', backends: backends ?? [] }
}

function matchOf({ headers, query, cookies, ...plain }: Plain): object {
  return {
    ...plain,
    ...(headers !== undefined && { headers: namedMatches(headers, (name) => name.toLowerCase()) }),
    ...(query !== undefined && { query: namedMatches(query) }),
    ...(cookies !== undefined && { cookies: namedMatches(cookies) }),
  }
}

function namedMatches(matches: unknown, nameOf = (name: string): string => name): object[] {
  return (matches as readonly Plain[]).map(({ name, any, not }) => ({
    name: nameOf(name as string),
    any: any ?? not ?? [],
    ...(any === undefined && not !== undefined && { not: true }),
  }))
}

function gatewayForm({ nodes = [], listeners = [], tracing, ...plain }: Plain): object {
  return {
    ...plain,
    ...(tracing !== undefined && { tracing: tracingOf(tracing) }),
    nodes,
    listeners: (listeners as readonly Plain[]).map(listenerOf),
  }
}

function listenerOf({ protocol, hosts, egress, ...plain }: Plain): object {
  return {
    ...plain,
    protocol: protocol ?? (plain['tls'] === undefined ? 'http' : 'https'),
    ...(hosts !== undefined && { hosts: lowercase(hosts) }),
    ...(egress !== undefined && { egress: egressOf(egress) }),
  }
}

/** TLS compares names as they are, and asks for them in small letters. */
function egressOf(egress: unknown): object {
  const { hosts, ...rest } = egress as Plain
  return { ...rest, hosts: lowercase(hosts ?? []) }
}

function outboundOf({ egress, ...plain }: Plain): object {
  return { ...plain, ...(egress !== undefined && { egress: egressOf(egress) }) }
}

function sidecarForm({ nodes = [], inbound = [], outbound, ...plain }: Plain): object {
  const service = plain['service']
  const own = outbound === undefined ? {} : { outbound: outboundOf(outbound as Plain) }
  return { ...plain, ...own, nodes, inbound: (inbound as readonly Plain[]).map((entry) => ({ service, ...entry })) }
}

function patchForm(plain: Plain, tree: MapTree | undefined): object {
  const { name, target, at } = plain
  return {
    name,
    target,
    ...(at !== undefined && { at }),
    change: changeOf(plain, tree),
  }
}

function changeOf(plain: Plain, tree: MapTree | undefined): object {
  for (const key of ['merge', 'insertBefore', 'insertAfter']) {
    if (plain[key] !== undefined) return { [key]: entryOf(tree, key)?.value ?? treeOfJson(plain[key]) }
  }
  const { jsonPatch } = plain
  if (jsonPatch === undefined) return { remove: true }
  const list = entryOf(tree, 'jsonPatch')?.value
  const steps = (jsonPatch as readonly Plain[]).map(({ value, ...step }, index) => {
    if (value === undefined) return step
    const item = list?.kind === 'list' ? list.items[index] : undefined
    return { ...step, value: entryOf(item, 'value')?.value ?? treeOfJson(value) }
  })
  return { jsonPatch: steps }
}

/** Of a document that was not read in this run nobody knows where its parts stand. */
const unknown = { line: 1, column: 1 }

function treeOfJson(json: unknown): Tree {
  if (Array.isArray(json)) return { ...unknown, kind: 'list', items: json.map(treeOfJson) }
  if (typeof json !== 'object' || json === null) return { ...unknown, kind: 'scalar', value: json as string }
  const entries = Object.entries(json).map(([key, value]) => ({ ...unknown, key, value: treeOfJson(value) }))
  return { ...unknown, kind: 'map', entries }
}
