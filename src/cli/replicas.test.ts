import { describe, expect, test } from 'vitest'
import { startAdmin } from '../../test/support/admin-bed.ts'
import { runCommand } from '../../test/support/command.ts'
import type { ReplicasStatus } from '../admin/server.ts'

const status: ReplicasStatus = {
  self: 'cp-1:18000',
  leader: 'cp-2:18000',
  replicas: [
    {
      id: 'cp-1:18000',
      isSelf: true,
      isLeader: false,
      host: 'cp-1',
      version: '1.2.3',
      startedAt: '2026-11-21T07:00:00.123Z',
      config: 'd7741e3b5f0c2a91',
      errors: 0,
      streams: 512,
    },
    {
      id: 'cp-2:18000',
      isSelf: false,
      isLeader: true,
      host: 'cp-2',
      version: '1.2.3',
      startedAt: '2026-11-21T07:02:11.456Z',
      config: 'd7741e3b5f0c2a91',
      errors: 0,
      streams: 7,
    },
  ],
}

async function replicasOf(answer: ReplicasStatus | undefined, ...args: readonly string[]): Promise<string> {
  const { url } = await startAdmin(answer && { replicas: () => answer })
  const { code, out, err } = await runCommand(['replicas', '--server', url, ...args])
  expect([code, err]).toEqual([0, ''])
  return out
}

describe('fairlead replicas', () => {
  test('shows who is there, who leads, and what each serves', async () => {
    expect(await replicasOf(status)).toBe(
      [
        'REPLICA             LEADER  VERSION  SINCE                 CONFIG    STREAMS',
        'cp-1:18000 (asked)  -       1.2.3    2026-11-21 07:00:00Z  d7741e3b  512',
        'cp-2:18000          leads   1.2.3    2026-11-21 07:02:11Z  d7741e3b  7',
        '',
      ].join('\n'),
    )
  })

  test('says what is odd: that they differ, and that nobody leads', async () => {
    const [first, second] = status.replicas
    if (first === undefined || second === undefined) throw new Error('there are two')
    const odd = {
      ...status,
      leader: null,
      replicas: [first, { ...second, isLeader: false, config: '5f0c2a91d7741e3b' }],
    }
    expect(await replicasOf(odd)).toMatch(
      /\n\nThey do not serve the same now\. .*\n\nNobody is known here to lead: .*\n$/,
    )
    const starting = { ...status, replicas: [first, { ...second, config: null }] }
    expect(await replicasOf(starting)).toMatch(/07:02:11Z {2}- +7\n$/)
  })

  test('says that the others are shown as they were, where etcd does not answer', async () => {
    expect(await replicasOf({ ...status, leader: null, isStale: true })).toMatch(
      /7\n\nThe list in etcd cannot be renewed: the others are shown as they were, and may be gone\. .*\n$/,
    )
  })

  test('prints JSON for programs', async () => {
    expect(JSON.parse(await replicasOf(status, '--json'))).toEqual(status)
    expect(JSON.parse(await replicasOf(undefined, '--json'))).toEqual({ self: null, leader: null, replicas: [] })
  })

  test('says that a server without etcd has none', async () => {
    expect(await replicasOf(undefined)).toBe('This server shares nothing with others: it was started without --etcd.\n')
  })
})
