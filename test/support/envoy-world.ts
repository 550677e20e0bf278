import type { Json } from './documents.ts'
import type { EnvoyConfigDump, EnvoyProcess } from './envoy-process.ts'

/**
 * In what an Envoy's state differs from documents: a line for each cluster, listener, route configuration, assignment and
 * secret that is absent, other than it should be, too many or still on its way, and for what still drains. Empty: it is done.
 * @param documents by their key, `cluster/cart`
 */
export async function differencesOf(envoy: EnvoyProcess, documents: Readonly<Record<string, Json>>): Promise<string[]> {
  const dump = await envoy.configDump()
  const listed = (section: string, list: string): readonly Entry[] =>
    (sectionOf(dump, section)[list] as readonly Entry[] | undefined) ?? []
  const wanted = (word: string): Map<string, Json> =>
    new Map(
      Object.entries(documents).flatMap(([key, json]) =>
        key.startsWith(`${word}/`) ? [[key.slice(word.length + 1), json] as const] : [],
      ),
    )
  const differences: string[] = []

  const compare = (word: string, has: ReadonlyMap<string, unknown>, should: ReadonlyMap<string, Json>): void => {
    for (const [name, json] of should) {
      if (!has.has(name)) differences.push(`${word} ${name} is not there`)
      else if (canonical(has.get(name)) !== canonical(json)) differences.push(`${word} ${name} is another`)
    }
  }
  const forbidMore = (word: string, has: ReadonlyMap<string, unknown>, should: ReadonlyMap<string, Json>): void => {
    for (const name of has.keys()) if (!should.has(name)) differences.push(`${word} ${name} is still there`)
  }

  const clusters = byName(listed('ClustersConfigDump', 'dynamic_active_clusters').map(({ cluster }) => cluster))
  compare('cluster', clusters, wanted('cluster'))
  forbidMore('cluster', clusters, wanted('cluster'))
  for (const { cluster } of listed('ClustersConfigDump', 'dynamic_warming_clusters')) {
    differences.push(`cluster ${nameOf(cluster)} is warming`)
  }

  const states = listed('ListenersConfigDump', 'dynamic_listeners')
  const active = byName(states.map((state) => (state['active_state'] as Entry | undefined)?.['listener']))
  compare('listener', active, wanted('listener'))
  forbidMore('listener', active, wanted('listener'))
  for (const state of states) {
    if (state['warming_state'] !== undefined) differences.push(`listener ${nameOf(state)} is warming`)
    if (state['draining_state'] !== undefined) differences.push(`listener ${nameOf(state)} is draining`)
    if (state['error_state'] !== undefined) differences.push(`listener ${nameOf(state)} has an error`)
  }

  const routes = listed('RoutesConfigDump', 'dynamic_route_configs').map((entry) => entry['route_config'])
  compare('route', byName(routes), wanted('route'))
  const secrets = byName(listed('SecretsConfigDump', 'dynamic_active_secrets').map(({ secret }) => secret))
  compare('secret', secrets, wanted('secret'))
  for (const secret of listed('SecretsConfigDump', 'dynamic_warming_secrets')) {
    differences.push(`secret ${nameOf(secret)} is warming`)
  }
  // One for each cluster that has it.
  const assignments = listed('EndpointsConfigDump', 'dynamic_endpoint_configs').map((entry) => entry['endpoint_config'])
  for (const [name, json] of wanted('endpoint')) {
    const have = assignments.filter((assignment) => (assignment as Entry)['cluster_name'] === name)
    if (have.length === 0) differences.push(`endpoint ${name} is not there`)
    if (have.some((assignment) => portsIn(assignment) !== portsIn(json)))
      differences.push(`endpoint ${name} is another`)
  }

  const waiting =
    /^(cluster_manager\.warming_clusters|listener_manager\.total_(listeners|filter_chains)_(draining|warming))$/
  for (const [name, value] of await envoy.stats(waiting)) if (value !== 0) differences.push(`${name} is ${value}`)
  return differences
}

type Entry = Readonly<Record<string, unknown>>

function sectionOf({ configs }: EnvoyConfigDump, name: string): Entry {
  return configs.find((section) => section['@type'].endsWith(`.${name}`)) ?? {}
}

const nameOf = (message: unknown): string => String((message as Entry | undefined)?.['name'])

function byName(messages: readonly unknown[]): Map<string, unknown> {
  return new Map(
    messages.flatMap((message) => {
      const name = (message as Entry | undefined)?.['name']
      return typeof name === 'string' ? [[name, message] as const] : []
    }),
  )
}

/** Equal texts for equal messages. Envoy shows no private key, and text as bytes where it was given as such. */
function canonical(message: unknown): string {
  return JSON.stringify(message, (key, value: unknown) => {
    if (key === 'private_key') return undefined
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

function portsIn(assignment: unknown): string {
  const found: number[] = []
  JSON.stringify(assignment, (key, value: unknown) => {
    if (key === 'port_value') found.push(value as number)
    return value
  })
  return found.sort((a, b) => a - b).join(' ')
}
