import type { Timer } from '../../clock.ts'
import { noLocality } from '../config/locality.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import { type Assignment, type Endpoint, noAssignment } from './assignment.ts'
import type { BalanceQuestion } from './cluster.ts'
import type { ClusterHost } from './cluster-host.ts'
import type { DnsCacheConfig, DnsConfig } from './dns-config.ts'
import { createNameResolver, type NameResolver } from './name-resolver.ts'
import { nextRefresh } from './refresh-rate.ts'

export interface DynamicHostsOwner {
  readonly context: ProxyContext
  /** Of the bootstrap, where the cache does not say which name servers are asked. */
  readonly dns: DnsConfig['resolver']
  /** In place of both, for tests. */
  readonly resolver?: NameResolver
  /** Of names without one: 443 where TLS is spoken. */
  readonly defaultPort: number
  /** The hosts are these now. */
  assign(assignment: Assignment): void
  hosts(): Iterable<ClusterHost>
}

/** A name that somebody asked for. */
interface Entry {
  readonly name: string
  readonly port: number
  ip: string | undefined
  usedMs: number
  failures: number
  /** While the name is looked up for the first time. */
  looking: Promise<void> | undefined
  timer: Timer | undefined
}

/**
 * The hosts of a dynamic forward proxy: whoever is asked for is looked up, and remembered for as long as it is asked for
 * now and then.
 */
export class DynamicHosts {
  readonly #cache: DnsCacheConfig
  readonly #owner: DynamicHostsOwner
  readonly #resolver: NameResolver
  readonly #stats: StatScope
  readonly #entries = new Map<string, Entry>()
  readonly #hosts = new Map<string, ClusterHost>()
  #pending = 0
  #isClosed = false

  constructor(cache: DnsCacheConfig, owner: DynamicHostsOwner) {
    this.#cache = cache
    this.#owner = owner
    this.#resolver = owner.resolver ?? createNameResolver(cache.dns.resolver ?? owner.dns)
    this.#stats = owner.context.stats.scope(`dns_cache.${cache.name}.`)
    this.#stats.gauge('num_hosts').set(0)
    for (const { address, port } of cache.preresolved) this.#add(address.toLowerCase(), port)
  }

  /** Undefined where the name leads nowhere, or nothing says what it is. */
  choose({ serverName, port, headers }: BalanceQuestion): ClusterHost | undefined | Promise<ClusterHost | undefined> {
    const asked = serverName === undefined || serverName === '' ? headers?.get(':authority') : serverName
    const place = asked === undefined ? undefined : parseAuthority(asked, port ?? this.#owner.defaultPort)
    if (place === undefined) return undefined
    const key = `${place.name}:${place.port}`
    const entry = this.#entries.get(key) ?? this.#addIfRoom(place.name, place.port)
    if (entry === undefined) return undefined
    entry.usedMs = this.#owner.context.clock.now()
    if (entry.looking === undefined) return this.#hosts.get(key)
    if (this.#pending >= this.#cache.maxPendingRequests) {
      this.#stats.counter('dns_rq_pending_overflow').add()
      return undefined
    }
    return this.#wait(key, entry.looking)
  }

  close(): void {
    this.#isClosed = true
    for (const { timer } of this.#entries.values()) timer?.cancel()
    this.#entries.clear()
    this.#resolver.close()
    this.#stats.close()
  }

  async #wait(key: string, looking: Promise<void>): Promise<ClusterHost | undefined> {
    this.#pending++
    await looking
    this.#pending--
    return this.#hosts.get(key)
  }

  #addIfRoom(name: string, port: number): Entry | undefined {
    if (this.#entries.size < this.#cache.maxHosts) return this.#add(name, port)
    this.#stats.counter('host_overflow').add()
    return undefined
  }

  #add(name: string, port: number): Entry {
    const { clock } = this.#owner.context
    const entry: Entry = {
      name,
      port,
      ip: undefined,
      usedMs: clock.now(),
      failures: 0,
      looking: undefined,
      timer: undefined,
    }
    this.#entries.set(`${name}:${port}`, entry)
    this.#stats.counter('host_added').add()
    this.#stats.gauge('num_hosts').set(this.#entries.size)
    entry.looking = this.#lookUp(entry).then(() => {
      entry.looking = undefined
    })
    return entry
  }

  async #lookUp(entry: Entry): Promise<void> {
    const { dns, queryTimeoutMs, minRefreshMs } = this.#cache
    const { clock, random } = this.#owner.context
    this.#stats.counter('dns_query_attempt').add()
    const answer = await withTimeout(this.#resolver.resolve(entry.name, dns.family), queryTimeoutMs, clock)
    if (this.#isClosed) return
    if (answer === 'timeout') this.#stats.counter('dns_query_timeout').add()
    const [ip] = typeof answer === 'object' ? answer.addresses : []
    entry.failures = ip === undefined ? entry.failures + 1 : 0
    this.#stats.counter(ip === undefined ? 'dns_query_failure' : 'dns_query_success').add()
    // A name that can not be looked up again leads where it led before.
    if (ip !== undefined && ip !== entry.ip) {
      if (entry.ip !== undefined) this.#stats.counter('host_address_changed').add()
      entry.ip = ip
      this.#assign()
    }
    const ttlMs = typeof answer === 'object' ? answer.ttlMs : undefined
    const waitMs = Math.max(minRefreshMs, nextRefresh(dns, ttlMs, entry.failures, random))
    entry.timer = clock.after(waitMs, () => this.#refresh(entry))
  }

  #refresh(entry: Entry): void {
    if (this.#owner.context.clock.now() - entry.usedMs < this.#cache.hostTtlMs) {
      void this.#lookUp(entry)
      return
    }
    this.#entries.delete(`${entry.name}:${entry.port}`)
    this.#stats.counter('host_removed').add()
    this.#stats.gauge('num_hosts').set(this.#entries.size)
    this.#assign()
  }

  #assign(): void {
    const endpoints = [...this.#entries.values()].flatMap(({ name, port, ip }) =>
      ip === undefined ? [] : [endpointOf(name, ip, port)],
    )
    this.#owner.assign({
      ...noAssignment,
      groups: [{ locality: noLocality, priority: 0, weight: undefined, endpoints }],
    })
    this.#hosts.clear()
    for (const host of this.#owner.hosts()) this.#hosts.set(`${host.hostname}:${host.port}`, host)
  }
}

function endpointOf(name: string, ip: string, port: number): Endpoint {
  return {
    address: { address: ip, port },
    hostname: name,
    weight: 1,
    metadata: {},
    health: 'UNKNOWN',
    healthCheck: { port: undefined, address: undefined, hostname: '', isDisabled: false },
  }
}

/** `a.test:8080`, `a.test`, `[::1]:80`. Undefined for what is no name or address. */
export function parseAuthority(
  authority: string,
  defaultPort: number,
): { readonly name: string; readonly port: number } | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(authority) ?? []
  const name = bracketed ?? plain
  const port = digits === undefined ? defaultPort : Number(digits)
  return name === undefined || port < 1 || port > 65_535 ? undefined : { name: name.toLowerCase(), port }
}

function withTimeout<T>(work: Promise<T>, ms: number, clock: ProxyContext['clock']): Promise<T | 'timeout' | 'failed'> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, () => resolve('timeout'))
    work.then(
      (value) => {
        timer.cancel()
        resolve(value)
      },
      () => {
        timer.cancel()
        resolve('failed')
      },
    )
  })
}
