import { describe, expect, it } from 'vitest'
import { envoyResources } from '../../test/support/envoy-resources.ts'
import { treeOf } from '../../test/support/tree-of.ts'
import { loadEnvoyApi } from './envoy-api.ts'
import { messageToJson } from './json/codec.ts'
import { type ParsedResource, parseResource } from './parse-resource.ts'
import type { Resource } from './resource.ts'

const api = loadEnvoyApi()
const prefix = 'type.googleapis.com'
const cluster = `'@type': ${prefix}/envoy.config.cluster.v3.Cluster`
const wrapper = `'@type': ${prefix}/envoy.service.discovery.v3.Resource`
const virtualHost = `'@type': ${prefix}/envoy.config.route.v3.VirtualHost`

const parse = (yaml: string): ParsedResource => parseResource(api, treeOf(yaml), { name: 'shop.yaml' }, 'resources[0]')

function resourceOf(yaml: string): Resource {
  const { resource, problems } = parse(yaml)
  expect(problems).toEqual([])
  return resource as Resource
}

function problemsOf(yaml: string): string[] {
  const { resource, problems } = parse(yaml)
  if (problems.some(({ severity }) => severity === 'error')) expect(resource).toBeUndefined()
  return problems.map(
    ({ severity, code, line, column, path, message, fix }) =>
      `${severity} ${code} ${line}:${column} ${path}: ${message} ${fix}`,
  )
}

describe('a resource', () => {
  it.each(Object.entries(envoyResources))('is made of %s', (_, yaml) => {
    const resource = resourceOf(yaml)
    expect(yaml).toContain(`name: ${resource.name}`)
    expect(yaml).toContain(`'@type': ${resource.typeUrl}`)
    expect(resource.origin).toEqual({ name: 'shop.yaml', line: 2, column: 1 })
  })

  it('knows of each name that it refers to where it is written', () => {
    const { references } = resourceOf(`
'@type': ${prefix}/envoy.config.route.v3.RouteConfiguration
name: shop
virtualHosts:
- name: all
  domains: ['*']
  routes:
  - match: {prefix: /}
    route:
      cluster: cart`)
    expect(references).toEqual([
      {
        typeUrl: `${prefix}/envoy.config.cluster.v3.Cluster`,
        name: 'cart',
        path: 'resources[0].virtualHosts[0].routes[0].route.cluster',
        line: 10,
        column: 16,
      },
    ])
  })

  it('is named by the cluster_name of an assignment', () => {
    expect(
      resourceOf(`{'@type': ${prefix}/envoy.config.endpoint.v3.ClusterLoadAssignment, clusterName: cart}`).name,
    ).toBe('cart')
  })

  it('knows what it refers to, and whether it holds secrets', () => {
    const { references } = resourceOf(envoyResources['a route configuration'] as string)
    expect(references.map(({ name }) => name)).toEqual(['cart', 'cart-v2', 'shadow'])
    expect(resourceOf(envoyResources['a certificate'] as string).isSensitive).toBe(true)
    expect(resourceOf(envoyResources['a runtime layer'] as string).isSensitive).toBe(false)
  })

  it('has its context parameters sorted in its name, and in those it refers to', () => {
    const name = (query: string): string => `xdstp://shop/envoy.config.cluster.v3.Cluster/cart?${query}`
    const yaml = `
${cluster}
name: ${name('b=2&a=1')}
lb_policy: CLUSTER_PROVIDED
cluster_type: {name: a, typed_config: {'@type': ${prefix}/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: ['${name('z=1&y=2')}']}}`
    const resource = resourceOf(yaml)
    expect(resource.name).toBe(name('a=1&b=2'))
    expect(resource.references.map((reference) => reference.name)).toEqual([name('y=2&z=1')])
  })

  it('keeps its version while its keys change places', () => {
    const one = resourceOf(`{${cluster}, name: a, connect_timeout: 1s, type: STATIC}`)
    expect(resourceOf(`{type: STATIC, connectTimeout: 1.000s, name: a, ${cluster}}`).version).toBe(one.version)
  })
})

describe('what Envoy has and the packaged API lacks', () => {
  it('is known: a canary may go by the hash of the user', () => {
    const resource = resourceOf(`
'@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: r
virtual_hosts:
- name: all
  domains: ['*']
  routes:
  - match: {prefix: /}
    route:
      hash_policy: [{cookie: {name: user}}]
      weighted_clusters: {use_hash_policy: true, clusters: [{name: a, weight: 99}, {name: b, weight: 1}]}
`)
    expect(JSON.stringify(messageToJson(api, resource.typeUrl, resource.bytes))).toMatch(
      /"use_?[hH]ash_?[pP]olicy":true/,
    )
  })
})

describe('the wrapper around a resource', () => {
  it('gives it a time to live and aliases', () => {
    const { name, ttlMs, aliases } = resourceOf(
      `{${wrapper}, name: a, ttl: 1.5s, aliases: [b, c, b], resource: {${cluster}, name: a}}`,
    )
    expect({ name, ttlMs, aliases }).toEqual({ name: 'a', ttlMs: 1500, aliases: ['b', 'c'] })
  })

  it('names a virtual host, which gets an alias for every domain', () => {
    const { name, aliases, bytes, typeUrl } = resourceOf(`
${wrapper}
name: edge/http/shop
aliases: [edge/http/extra]
resource: {${virtualHost}, name: edge/http/shop, domains: [shop.example, '*']}`)
    expect({ name, aliases }).toEqual({
      name: 'edge/http/shop',
      aliases: ['edge/http/extra', 'edge/http/*', 'edge/http/shop.example'],
    })
    expect(messageToJson(api, typeUrl, bytes)).toMatchObject({ name: 'edge/http/shop' })
  })

  it('has fields that do nothing here, and says so', () => {
    expect(problemsOf(`${wrapper}\nname: a\nversion: "1"\nresource: {${cluster}, name: a}`)).toEqual([
      'warning no-effect 3:1 resources[0].version: `version` has no effect here. Remove it.',
    ])
    expect(parse(`{${wrapper}, version: "1", resource: {${cluster}, name: a}}`).resource?.name).toBe('a')
  })

  it('puts problems of its resource where they are', () => {
    expect(problemsOf(`${wrapper}\nresource:\n  ${cluster}\n  name: a\n  connect_timeout: 0s`)).toEqual([
      expect.stringMatching(/^error rule-violation 5:20 resources\[0\]\.resource\.connect_timeout: /),
    ])
  })
})

describe('a problem', () => {
  it.each<[string, string, string]>([
    [
      'no map',
      '[]',
      "error wrong-type 1:1 resources[0]: Expected a map with an @type, not a list. Add '@type': type.googleapis.com/ and the name of the message.",
    ],
    ['an empty name', `{${cluster}, name: ''}`, 'error rule-violation 1:70 resources[0].name: '],
    [
      'no name where no rule asks for one',
      `'@type': ${prefix}/envoy.config.listener.v3.Listener\naddress: {pipe: {path: /a}}`,
      'error invalid-name 1:1 resources[0].name: The listener has no name. Give `name` a value.',
    ],
    [
      'the type of another in the name',
      `{${cluster}, name: 'xdstp://a/envoy.config.listener.v3.Listener/b'}`,
      'error invalid-name 1:70 resources[0].name: The name is of a envoy.config.listener.v3.Listener, but this is a envoy.config.cluster.v3.Cluster. Write xdstp://<authority>/envoy.config.cluster.v3.Cluster/<name>.',
    ],
    [
      'what is no resource',
      `{'@type': ${prefix}/envoy.extensions.filters.http.router.v3.Router}`,
      'error invalid-name 1:1 resources[0]: envoy.extensions.filters.http.router.v3.Router is no resource: it has no name by which Envoy could ask for it. Put it into the resource that uses it.',
    ],
    [
      'a virtual host of no route configuration',
      `{${virtualHost}, name: shop, domains: ['*']}`,
      'error invalid-name 1:72 resources[0].name: The name does not say which route configuration the virtual host is for. Write <route configuration>/<virtual host>.',
    ],
    [
      'a virtual host that only its wrapper names',
      `{${wrapper}, name: edge/shop, resource: {${virtualHost}, name: shop, domains: ['*']}}`,
      'error invalid-name 1:166 resources[0].resource.name: The name does not say which route configuration the virtual host is for. Write edge/shop.',
    ],
    [
      'a wrapper of another name',
      `{${wrapper}, name: b, resource: {${cluster}, name: a}}`,
      "error invalid-name 1:74 resources[0].name: The wrapper's name is not the resource's `name`. Envoy goes by the latter: give both the same, or remove the `name` of the wrapper.",
    ],
    [
      'an empty wrapper',
      `{${wrapper}, name: b}`,
      'error wrong-type 1:1 resources[0]: The wrapper holds no resource. Add `resource`, with an @type.',
    ],
    [
      'a wrapper in a wrapper',
      `{${wrapper}, resource: {${wrapper}}}`,
      'error wrong-type 1:78 resources[0].resource: A wrapper holds another wrapper. Keep one of them.',
    ],
    [
      'no time to live',
      `{${wrapper}, ttl: 0s, resource: {${cluster}, name: a}}`,
      'error rule-violation 1:73 resources[0].ttl: The time to live is less than a millisecond. Write a longer one, or remove it.',
    ],
    [
      'an unknown type',
      `{'@type': ${prefix}/envoy.config.cluster.v3.Clutser, name: a}`,
      'error unknown-extension 1:11 resources[0].@type: envoy.config.cluster.v3.Clutser is not in the Envoy API',
    ],
  ])('is said of %s', (_, yaml, problem) => {
    const problems = problemsOf(yaml)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.slice(0, problem.length)).toBe(problem)
  })

  it('of the API’s rules is said at the value, in its author’s spelling, inside Anys too', () => {
    const yaml = `
${cluster}
name: a
transportSocket:
  name: tls
  typedConfig:
    '@type': ${prefix}/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: ${'a'.repeat(256)}
loadAssignment: {}`
    expect(problemsOf(yaml).map((problem) => problem.split(': ')[0])).toEqual([
      'error rule-violation 9:17 resources[0].loadAssignment.cluster_name',
      'error rule-violation 8:10 resources[0].transportSocket.typedConfig.sni',
    ])
  })

  it('of the API’s rules is not said of what could not be read, but is of the rest', () => {
    const yaml = `
${cluster}
name: 5
connect_timeout: 0s
load_assignment: {endpoints: [{priority: 200}], cluster_nme: a}
eds_cluster_config: {service_name: 1}
circuit_breakers: {thresholds: [{retry_budget: {budget_percent: {value: 101}}}]}`
    const places = problemsOf(yaml).map((problem) => problem.split(': ')[0])
    expect(places).toEqual([
      'error wrong-type 3:7 resources[0].name',
      'error unknown-field 5:49 resources[0].load_assignment.cluster_nme',
      'error wrong-type 6:36 resources[0].eds_cluster_config.service_name',
      'error rule-violation 5:42 resources[0].load_assignment.endpoints[0].priority',
      'error rule-violation 7:73 resources[0].circuit_breakers.thresholds[0].retry_budget.budget_percent.value',
    ])
  })
})
