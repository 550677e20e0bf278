import type { ClusterManager, DumpedCluster } from '../cluster/cluster-manager.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { AdsDiscovery } from '../discovery/create-discovery.ts'
import type { DiscoveredResource } from '../discovery/discovery.ts'
import type { ListenerManager } from '../listener/listener-manager.ts'
import { redacted } from './redacted.ts'

/** What of a proxy is told by its dump. */
export interface DumpSubject {
  readonly bootstrap: { readonly content: JsonObject; readonly secrets: readonly JsonObject[] }
  readonly clusters: Pick<ClusterManager, 'dump'>
  readonly listeners: Pick<ListenerManager, 'listeners'>
  readonly discovery: Pick<AdsDiscovery, 'held'>
}

/** Envoy's `/config_dump?include_eds`: a part for each type of configuration. */
export interface ConfigDump {
  readonly configs: readonly JsonObject[]
}

const part = (name: string, fields: object): JsonObject =>
  ({ '@type': `type.googleapis.com/envoy.admin.v3.${name}ConfigDump`, ...fields }) as JsonObject

/** All of what is in use, keys and passwords left out. */
export function dumpConfig({ bootstrap, clusters, listeners, discovery }: DumpSubject): ConfigDump {
  const running = [...listeners.listeners.values()]
  const versioned = (field: string, resources: readonly DiscoveredResource[]): readonly object[] =>
    resources.map(({ version, content }) => ({ version_info: version, [field]: redacted(content) }))
  return {
    configs: [
      part('Bootstrap', { bootstrap: redacted(bootstrap.content) }),
      part('Clusters', {
        version_info: clusters.dump.version,
        static_clusters: clusters.dump.static.map(dumpCluster),
        dynamic_active_clusters: clusters.dump.active.map(dumpCluster),
        dynamic_warming_clusters: clusters.dump.warming.map(dumpCluster),
      }),
      part('Ecds', { ecds_filters: versioned('ecds_filter', discovery.held('extension')) }),
      part('Listeners', {
        static_listeners: running
          .filter(({ version }) => version === '')
          .map(({ config }) => ({ listener: redacted(config) })),
        dynamic_listeners: running
          .filter(({ version }) => version !== '')
          .map(({ name, version, config }) => ({
            name,
            active_state: { version_info: version, listener: redacted(config) },
          })),
      }),
      part('Routes', { dynamic_route_configs: versioned('route_config', discovery.held('route')) }),
      part('Secrets', {
        static_secrets: bootstrap.secrets.map((secret) => ({ name: secret['name'], secret: redacted(secret) })),
        dynamic_active_secrets: discovery
          .held('secret')
          .map(({ name, version, content }) => ({ name, version_info: version, secret: redacted(content) })),
      }),
      part('Endpoints', { dynamic_endpoint_configs: versioned('endpoint_config', discovery.held('endpoint')) }),
    ],
  }
}

function dumpCluster({ version, content, lastUpdated }: DumpedCluster): object {
  return {
    ...(version !== '' && { version_info: version }),
    cluster: redacted(content),
    last_updated: lastUpdated.toISOString(),
  }
}
