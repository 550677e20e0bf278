import type { Cluster } from '../cluster/cluster.ts'
import type { ClusterConfig } from '../cluster/cluster-config.ts'
import type { Host } from '../cluster/host.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { Secrets } from '../secret/secrets.ts'
import { ClusterConnections } from './cluster-connections.ts'
import type { Connections, ConnectOptions, UpstreamConnection, UpstreamRequest, UpstreamStream } from './upstream.ts'
import { UpstreamTls } from './upstream-tls.ts'

/** The connections of one proxy to all hosts of all clusters. */
export function createConnections(context: ProxyContext, secrets: Secrets): Connections {
  return new AllConnections(context, secrets)
}

class AllConnections implements Connections {
  readonly #context: ProxyContext
  readonly #secrets: Secrets
  readonly #clusters = new Map<Cluster, ClusterConnections>()

  constructor(context: ProxyContext, secrets: Secrets) {
    this.#context = context
    this.#secrets = secrets
  }

  async openStream(cluster: Cluster, host: Host, request: UpstreamRequest): Promise<UpstreamStream> {
    return this.#of(cluster.ownerOf?.(host) ?? cluster).openStream(host, request)
  }

  connect(cluster: Cluster, host: Host, options: ConnectOptions = {}): Promise<UpstreamConnection> {
    return this.#of(cluster.ownerOf?.(host) ?? cluster).connect(host, options)
  }

  warm(config: ClusterConfig): { readonly ready: Promise<void>; cancel(): void } {
    const tls = new UpstreamTls(this.#secrets)
    try {
      const ready = [tls.add(config.transport), ...config.transportMatches.map(({ transport }) => tls.add(transport))]
      return { ready: Promise.all(ready).then(() => undefined), cancel: () => tls.close() }
    } catch (error) {
      tls.close()
      throw error
    }
  }

  close(): void {
    for (const connections of this.#clusters.values()) connections.close()
  }

  #of(cluster: Cluster): ClusterConnections {
    const known = this.#clusters.get(cluster)
    if (known !== undefined) return known
    const created = new ClusterConnections(this.#context, cluster, new UpstreamTls(this.#secrets))
    this.#clusters.set(cluster, created)
    cluster.onClosed(() => {
      this.#clusters.delete(cluster)
      created.drain()
    })
    return created
  }
}
