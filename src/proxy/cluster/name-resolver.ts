import { Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostPort } from '../../resource/host-port.ts'
import type { DnsLookupFamily, DnsResolverConfig } from './dns-config.ts'

/** What a name leads to; no addresses at all where it exists and leads nowhere, or does not exist. */
export interface NameAnswer {
  readonly addresses: readonly string[]
  /** The least of all records'; undefined where the answer has none. */
  readonly ttlMs: number | undefined
}

/** Looks names up: in the machine's hosts file first, then with name servers. */
export interface NameResolver {
  /** @throws Error when no server answers, or one answers that it cannot */
  resolve(name: string, family: DnsLookupFamily): Promise<NameAnswer>
  close(): void
}

type IpFamily = 4 | 6

/** Which families are asked, in this order, and whether the first with an answer will do. */
const plans: Readonly<
  Record<DnsLookupFamily, { readonly families: readonly IpFamily[]; readonly isFirstEnough: boolean }>
> = {
  AUTO: { families: [6, 4], isFirstEnough: true },
  V4_PREFERRED: { families: [4, 6], isFirstEnough: true },
  V4_ONLY: { families: [4], isFirstEnough: true },
  V6_ONLY: { families: [6], isFirstEnough: true },
  ALL: { families: [4, 6], isFirstEnough: false },
}

export function createNameResolver(config: DnsResolverConfig | undefined): NameResolver {
  const resolver = new Resolver({ timeout: 5000, tries: 4 })
  const servers = config?.servers ?? []
  if (servers.length > 0) resolver.setServers(servers.map(({ address, port }) => hostPort(address, port || 53)))
  return {
    async resolve(name, family) {
      if (isIP(name) !== 0) return { addresses: [name], ttlMs: undefined }
      const { families, isFirstEnough } = plans[family]
      const local = await readHosts(name)
      let all: NameAnswer = nothing
      for (const version of families) {
        const known = local.filter((ip) => isIP(ip) === version)
        const answer = known.length > 0 ? { addresses: known, ttlMs: undefined } : await ask(resolver, name, version)
        all = join(all, answer)
        if (isFirstEnough && all.addresses.length > 0) return all
      }
      return all
    },
    close: () => resolver.cancel(),
  }
}

const nothing: NameAnswer = { addresses: [], ttlMs: undefined }

function join(one: NameAnswer, other: NameAnswer): NameAnswer {
  const ttls = [one.ttlMs, other.ttlMs].filter((ttlMs) => ttlMs !== undefined)
  return {
    addresses: [...one.addresses, ...other.addresses],
    ttlMs: ttls.length === 0 ? undefined : Math.min(...ttls),
  }
}

async function ask(resolver: Resolver, name: string, version: IpFamily): Promise<NameAnswer> {
  try {
    const records = await (version === 4
      ? resolver.resolve4(name, { ttl: true })
      : resolver.resolve6(name, { ttl: true }))
    const ttlMs = Math.min(...records.map(({ ttl }) => ttl * 1000))
    return { addresses: records.map(({ address }) => address), ttlMs: records.length === 0 ? undefined : ttlMs }
  } catch (error) {
    const { code } = error as { readonly code?: string }
    // That there is no such name, or no such record of it, is an answer.
    if (code === 'ENOTFOUND' || code === 'ENODATA') return nothing
    throw error
  }
}

/** What the machine's hosts file says of a name. */
async function readHosts(name: string): Promise<readonly string[]> {
  const text = await readFile('/etc/hosts', 'utf8').catch(() => '')
  const wanted = name.toLowerCase()
  const found: string[] = []
  for (const line of text.split('\n')) {
    const [ip, ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (ip !== undefined && isIP(ip) !== 0 && names.some((one) => one.toLowerCase() === wanted)) found.push(ip)
  }
  return found
}
