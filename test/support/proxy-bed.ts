import { systemClock } from '../../src/clock.ts'
import { silentLog } from '../../src/log.ts'
import { createCircuit } from '../../src/proxy/cluster/circuits.ts'
import type { Circuit, Cluster, RoutingPriority } from '../../src/proxy/cluster/cluster.ts'
import { parseClusterConfig } from '../../src/proxy/cluster/cluster-config.ts'
import { type Host, noHostStats } from '../../src/proxy/cluster/host.ts'
import type { JsonObject } from '../../src/proxy/config/field-reader.ts'
import type { ProxyContext } from '../../src/proxy/proxy-context.ts'
import { createRuntime } from '../../src/proxy/runtime.ts'
import type { Secrets, SecretWatcher } from '../../src/proxy/secret/secrets.ts'
import { createStatStore } from '../../src/proxy/stats/create-stat-store.ts'
import type { TlsCertificate } from '../../src/proxy/tls/tls-certificate.ts'
import type { ValidationContext } from '../../src/proxy/tls/validation-context.ts'
import { loadEnvoyApi } from '../../src/resource/envoy-api.ts'

/** What a part of a reference proxy gets by with when nothing else of the proxy is there. */
export function createProxyContext(options: Partial<ProxyContext> = {}): ProxyContext {
  return {
    api: loadEnvoyApi(),
    node: { id: 'test', cluster: 'test', locality: { region: '', zone: '', subZone: '' } },
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    stats: createStatStore(),
    runtime: createRuntime([]),
    ...options,
  }
}

export interface BedCluster extends Cluster {
  /** Tells whoever listens that it is gone. */
  close(): void
  readonly host: BedHost
}

export interface BedHost extends Host {
  remove(): void
  turnUnhealthy(): void
}

/** A cluster of one host at 127.0.0.1 that does not balance. */
export function createBedCluster(
  context: ProxyContext,
  port: number,
  json: JsonObject = {},
  metadata: Host['metadata'] = {},
): BedCluster {
  const name = typeof json['name'] === 'string' ? json['name'] : 'cart'
  const config = parseClusterConfig({
    name,
    connect_timeout: '2s',
    load_assignment: { cluster_name: name, endpoints: [] },
    ...json,
  })
  const stats = context.stats.scope(`cluster.${name}.`)
  const host = createBedHost(port, metadata)
  const circuits = new Map<RoutingPriority, Circuit>()
  const closed: (() => void)[] = []
  return {
    name,
    config,
    stats,
    host,
    hosts: [host],
    chooseHost: () => host,
    circuit(priority) {
      const known = circuits.get(priority)
      if (known !== undefined) return known
      const circuit = createCircuit(config.breakers.circuits[priority], priority, {
        stats,
        runtime: context.runtime,
        cluster: name,
      })
      circuits.set(priority, circuit)
      return circuit
    },
    onClosed: (act) => closed.push(act),
    close: () => {
      for (const act of closed) act()
    },
  }
}

export function createBedHost(port: number, metadata: Host['metadata'] = {}): BedHost {
  const removed: (() => void)[] = []
  const unhealthy: (() => void)[] = []
  return {
    address: `127.0.0.1:${port}`,
    ip: '127.0.0.1',
    port,
    hostname: '',
    locality: { region: '', zone: '', subZone: '' },
    priority: 0,
    weight: 1,
    metadata,
    health: 'healthy',
    stats: noHostStats(),
    report: () => undefined,
    onRemoved: (act) => removed.push(act),
    onUnhealthy: (act) => unhealthy.push(act),
    remove: () => {
      for (const act of removed) act()
    },
    turnUnhealthy: () => {
      for (const act of unhealthy) act()
    },
  }
}

export interface BedSecrets extends Secrets {
  /** @throws ConfigRejection of whoever watches it. */
  setCertificate(name: string, certificate: TlsCertificate): void
  setValidation(name: string, validation: ValidationContext): void
  miss(name: string): void
}

export function createBedSecrets(): BedSecrets {
  const certificates = new Shelf<TlsCertificate>()
  const validations = new Shelf<ValidationContext>()
  return {
    watchCertificate: ({ name }, watcher) => certificates.watch(name, watcher),
    watchValidation: ({ name }, watcher) => validations.watch(name, watcher),
    isStatic: () => true,
    setCertificate: (name, content) => certificates.set(name, content),
    setValidation: (name, content) => validations.set(name, content),
    miss(name) {
      certificates.miss(name)
      validations.miss(name)
    },
  }
}

class Shelf<Content> {
  readonly #known = new Map<string, Content>()
  readonly #watchers = new Map<string, Set<SecretWatcher<Content>>>()

  watch(name: string, watcher: SecretWatcher<Content>): { cancel(): void } {
    const watchers = this.#of(name)
    watchers.add(watcher)
    const known = this.#known.get(name)
    if (known !== undefined) watcher.onSecret(known)
    return { cancel: () => watchers.delete(watcher) }
  }

  set(name: string, content: Content): void {
    for (const watcher of this.#of(name)) watcher.onSecret(content)
    this.#known.set(name, content)
  }

  miss(name: string): void {
    for (const watcher of this.#of(name)) watcher.onMissing()
  }

  #of(name: string): Set<SecretWatcher<Content>> {
    const known = this.#watchers.get(name) ?? new Set()
    this.#watchers.set(name, known)
    return known
  }
}
