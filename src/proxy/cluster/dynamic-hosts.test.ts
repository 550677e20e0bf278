import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import { Headers } from '../http/headers.ts'
import type { Assignment } from './assignment.ts'
import type { DnsCacheConfig } from './dns-config.ts'
import { DynamicHosts, parseAuthority } from './dynamic-hosts.ts'
import { Members } from './members.ts'
import type { NameAnswer } from './name-resolver.ts'

interface Bed {
  readonly context: TestContext
  readonly hosts: DynamicHosts
  readonly members: Members
  /** What names lead to; those that are not there lead nowhere. */
  readonly names: Map<string, NameAnswer>
  readonly asked: string[]
}

const cache: DnsCacheConfig = {
  name: 'outside',
  dns: { family: 'V4_PREFERRED', refreshMs: 60_000, failureRefresh: undefined, respectsTtl: true, resolver: undefined },
  minRefreshMs: 5000,
  hostTtlMs: 300_000,
  maxHosts: 2,
  queryTimeoutMs: 5000,
  maxPendingRequests: 1024,
  preresolved: [],
}

function createBed(changes: Partial<DnsCacheConfig> = {}): Bed {
  const context = createTestContext()
  const members = new Members({
    ownLocality: context.node.locality,
    isChecked: false,
    ignoresHealthOnRemoval: false,
    ignoresNewUntilChecked: false,
    isLogical: true,
  })
  const names = new Map<string, NameAnswer>()
  const asked: string[] = []
  const hosts = new DynamicHosts(
    { ...cache, ...changes },
    {
      context,
      dns: undefined,
      defaultPort: 80,
      assign: (assignment: Assignment) => void members.apply(assignment),
      hosts: () => members.hosts,
      resolver: {
        resolve(name) {
          asked.push(name)
          const answer = names.get(name)
          return answer === undefined ? Promise.reject(new Error('no answer')) : Promise.resolve(answer)
        },
        close: () => undefined,
      },
    },
  )
  atTestEnd(() => hosts.close())
  return { context, hosts, members, names, asked }
}

const to = (...addresses: readonly string[]): NameAnswer => ({ addresses, ttlMs: 30_000 })
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

describe('the hosts of a dynamic forward proxy', () => {
  it('are looked up when they are asked for, and remembered', async () => {
    const { hosts, names, asked } = createBed()
    names.set('a.test', to('10.0.0.1', '10.0.0.2'))
    const host = await hosts.choose({ serverName: 'A.test', port: 443 })
    expect([host?.address, host?.hostname]).toEqual(['10.0.0.1:443', 'a.test'])
    expect(hosts.choose({ serverName: 'a.test', port: 443 })).toBe(host)
    expect(asked).toEqual(['a.test'])
  })

  it('are whom the request is for, where nothing else says it', async () => {
    const { hosts, names } = createBed()
    names.set('a.test', to('10.0.0.1'))
    const host = await hosts.choose({ headers: Headers.of({ ':authority': 'a.test:8080' }) })
    expect(host?.address).toBe('10.0.0.1:8080')
  })

  it('are nobody where the name leads nowhere, and the next request does not wait for that again', async () => {
    const { hosts, asked } = createBed()
    expect(await hosts.choose({ serverName: 'gone.test' })).toBeUndefined()
    expect(hosts.choose({ serverName: 'gone.test' })).toBeUndefined()
    expect(asked).toEqual(['gone.test'])
  })

  it('stay the same when their names lead elsewhere, once the answer is too old', async () => {
    const { hosts, names, context, asked } = createBed()
    names.set('a.test', to('10.0.0.1'))
    const host = await hosts.choose({ serverName: 'a.test' })
    names.set('a.test', to('10.0.0.9'))
    context.clock.pass(29_999)
    expect(asked).toHaveLength(1)
    context.clock.pass(1)
    await settle()
    expect(hosts.choose({ serverName: 'a.test' })).toBe(host)
    expect(host?.address).toBe('10.0.0.9:80')
  })

  it('stay where they were when the name can not be looked up again', async () => {
    const { hosts, names, context } = createBed()
    names.set('a.test', to('10.0.0.1'))
    const host = await hosts.choose({ serverName: 'a.test' })
    names.delete('a.test')
    context.clock.pass(30_000)
    await settle()
    expect(hosts.choose({ serverName: 'a.test' })).toBe(host)
    expect(context.stat('dns_cache.outside.dns_query_failure')).toBe(1)
  })

  it('are forgotten when nobody asks for them', async () => {
    const { hosts, names, context, members } = createBed()
    names.set('a.test', to('10.0.0.1'))
    await hosts.choose({ serverName: 'a.test' })
    for (let turn = 0; turn < 11; turn++) {
      context.clock.pass(30_000)
      await settle()
    }
    expect(members.hosts).toEqual([])
    expect(context.stat('dns_cache.outside.num_hosts')).toBe(0)
  })

  it('are no more than there may be', async () => {
    const { hosts, names, context } = createBed()
    for (const name of ['a.test', 'b.test', 'c.test']) names.set(name, to('10.0.0.1'))
    const found = await Promise.all(
      ['a.test', 'b.test', 'c.test'].map(async (serverName) => await hosts.choose({ serverName })),
    )
    expect(found.map((host) => host?.hostname)).toEqual(['a.test', 'b.test', undefined])
    expect(context.stat('dns_cache.outside.host_overflow')).toBe(1)
  })
})

it.each([
  ['a.test', { name: 'a.test', port: 80 }],
  ['A.test:8080', { name: 'a.test', port: 8080 }],
  ['[::1]', { name: '::1', port: 80 }],
  ['[::1]:443', { name: '::1', port: 443 }],
  ['10.0.0.1:1', { name: '10.0.0.1', port: 1 }],
  ['a.test:', undefined],
  ['a.test:0', undefined],
  ['a.test:65536', undefined],
  ['', undefined],
  ['::1', undefined],
  ['a b', undefined],
])('the authority %j is %j', (authority, expected) => {
  expect(parseAuthority(authority, 80)).toEqual(expected)
})
