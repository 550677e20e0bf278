/** The parts of `envoy.config.core.v3.Node` that the control plane uses. */
export interface Node {
  readonly id: string
  readonly cluster: string
  /** `node.metadata` as plain JSON. */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly locality?: { readonly region: string; readonly zone: string; readonly subZone: string }
  readonly userAgentName: string
  readonly userAgentVersion: string
  /** `node.client_features`, e.g. `xds.config.resource-in-sotw` (rule 81). */
  readonly clientFeatures: readonly string[]
  /** Names that the bootstrap itself holds, per type word: `node.metadata.fairlead.static: {cluster: [xds]}`. */
  readonly staticNames: Readonly<Record<string, readonly string[]>>
}

/** What a bootstrap says of itself in `node.metadata.fairlead.static`: names that are no dangling references. */
export function staticNamesOf(
  metadata: Readonly<Record<string, unknown>>,
): Readonly<Record<string, readonly string[]>> {
  const fairlead = metadata['fairlead']
  const names = isRecord(fairlead) ? fairlead['static'] : undefined
  if (!isRecord(names)) return {}
  return Object.fromEntries(
    Object.entries(names).flatMap(([word, list]): [string, readonly string[]][] => {
      const strings = Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : []
      return strings.length === 0 ? [] : [[word, strings]]
    }),
  )
}

/** Reads a node in proto3 JSON, with either spelling of its fields. What is absent or of a wrong type is empty. */
export function nodeOfJson(json: unknown): Node {
  const node = isRecord(json) ? json : {}
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  const metadata = isRecord(node['metadata']) ? node['metadata'] : {}
  const locality = isRecord(node['locality']) ? node['locality'] : undefined
  const features = node['client_features'] ?? node['clientFeatures']
  return {
    id: text(node['id']),
    cluster: text(node['cluster']),
    metadata,
    ...(locality !== undefined && {
      locality: {
        region: text(locality['region']),
        zone: text(locality['zone']),
        subZone: text(locality['sub_zone'] ?? locality['subZone']),
      },
    }),
    userAgentName: text(node['user_agent_name'] ?? node['userAgentName']),
    userAgentVersion: text(node['user_agent_version'] ?? node['userAgentVersion']),
    clientFeatures: Array.isArray(features) ? features.filter((name) => typeof name === 'string') : [],
    staticNames: staticNamesOf(metadata),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
