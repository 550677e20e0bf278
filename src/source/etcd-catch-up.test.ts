import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { IRangeResponse } from 'etcd3'
import pino from 'pino'
import { beforeAll, describe, expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { startForgetfulEtcd } from '../../test/support/forgetful-etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { eventually } from '../../test/support/poll.ts'
import { readSource } from '../../test/support/source-reader.ts'
import { startTcpProxy } from '../../test/support/tcp-proxy.ts'
import { tempDir } from '../../test/support/temp.ts'
import { silentLog } from '../log.ts'
import { CatchUp } from './etcd-catch-up.ts'
import { connectEtcd, type EtcdClient } from './etcd-client.ts'
import { hasReached, readMark } from './etcd-read.ts'
import { createEtcdSource } from './etcd-source.ts'
import type { SourceUpdate } from './source.ts'

const never = new AbortController().signal

/** Whether a promise is settled by now, all that is under way in this process aside. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const no = Symbol('no')
  await new Promise((resolve) => setImmediate(resolve))
  return (await Promise.race([promise.then(() => true), Promise.resolve(no)])) !== no
}

describe('what was seen of a prefix holds what etcd held', () => {
  const mark = { revision: 20n, newest: 15n, keys: 3 }
  test.each<[string, bigint, number, boolean]>([
    ['up to the newest key, with as many keys', 15n, 3, true],
    ['later, with as many keys', 17n, 3, true],
    ['up to the newest key, with one that was deleted since', 15n, 4, false],
    ['short of the newest key, though there are as many', 14n, 3, false],
    ['up to the revision of the store, whatever the count: there may be more changes by now', 20n, 9, true],
    ['beyond', 21n, 1, true],
  ])('%s', (_name, revision, keys, expected) => {
    expect(hasReached({ revision, keys }, mark)).toBe(expected)
  })
})

describe('somebody who follows etcd', () => {
  /** An etcd that answers each question when the test says so. */
  function fakeEtcd() {
    const asked: ((answer: { revision: number; newest?: number; count: number }) => void)[] = []
    let open: ((response: Partial<IRangeResponse>) => void) | undefined
    const kv = {
      range: (request: { count_only?: boolean }) =>
        new Promise<Partial<IRangeResponse>>((resolve) => {
          if (request.count_only !== true) {
            open?.({})
            open = resolve
            return
          }
          asked.push(({ revision, newest, count }) => {
            const header = { revision: String(revision) } as IRangeResponse['header']
            const kvs = newest === undefined ? [] : [{ mod_revision: String(newest) }]
            resolve({ header, count: String(count), kvs: [] })
            setImmediate(() => open?.({ header, count: String(count), kvs: kvs as IRangeResponse['kvs'] }))
          })
        }),
    }
    return { asked, client: { kv } as unknown as EtcdClient }
  }

  function following() {
    const { asked, client } = fakeEtcd()
    const over = new AbortController()
    const ended: string[] = []
    const catchUp = new CatchUp({ prefix: '/a/', patienceMs: 50 })
    const begin = (revision: bigint, keys: number): void => {
      catchUp.reading()({ revision, keys })
      catchUp.begin({ client, signal: over.signal, end: (reason) => void ended.push(reason) })
    }
    return { asked, catchUp, begin, over, ended }
  }

  test('waits until the watch has told the newest key', async () => {
    const { asked, catchUp, begin } = following()
    begin(10n, 2)
    const reached = catchUp.reached(never)
    asked[0]?.({ revision: 14, newest: 13, count: 3 })
    await delay(10)
    catchUp.change(12n, 0)
    expect(await isDone(reached)).toBe(false)
    catchUp.change(13n, 1)
    await reached
  })

  test('waits for the last deletion', async () => {
    const { asked, catchUp, begin } = following()
    begin(10n, 2)
    const reached = catchUp.reached(never)
    asked[0]?.({ revision: 12, count: 1 })
    await delay(10)
    expect(await isDone(reached)).toBe(false)
    catchUp.change(12n, -1)
    await reached
  })

  test('asks when it can, if it was asked before it could', async () => {
    const { asked, catchUp, begin } = following()
    const reached = catchUp.reached(never)
    expect(asked).toEqual([])
    const noteRead = catchUp.reading()
    // This one came after the read had begun: what was read may lack what was written in between.
    const later = catchUp.reached(never)
    noteRead({ revision: 10n, keys: 2 })
    await reached
    expect(await isDone(later)).toBe(false)
    begin(10n, 2)
    await later
  })

  test('has everything read anew when the watch does not tell what etcd holds', async () => {
    const { asked, catchUp, begin, ended } = following()
    begin(10n, 2)
    void catchUp.reached(never)
    asked[0]?.({ revision: 14, newest: 13, count: 3 })
    await eventually(() => ended.length > 0)
    expect(ended).toEqual(['etcd holds more than its watch has told'])
  })

  test('has everything read anew when etcd does not answer', async () => {
    const { catchUp } = following()
    const over = new AbortController()
    const ended: string[] = []
    const kv = { range: () => Promise.reject(new Error('16 UNAUTHENTICATED: invalid auth token')) }
    const client = { kv } as unknown as EtcdClient
    catchUp.reading()({ revision: 10n, keys: 2 })
    const end = (reason: string): void => {
      ended.push(reason)
      over.abort()
    }
    catchUp.begin({ client, signal: over.signal, end })
    const reached = catchUp.reached(never)
    await eventually(() => ended.length > 0)
    expect(ended).toEqual(['it cannot be asked what is newest: invalid auth token'])
    expect(await isDone(reached)).toBe(false)
    catchUp.reading()({ revision: 11n, keys: 2 })
    await reached
  })

  test('asks no more for one who has gone', async () => {
    const { asked, catchUp, begin, ended } = following()
    begin(10n, 2)
    const abort = new AbortController()
    const reached = catchUp.reached(abort.signal)
    abort.abort(new Error('gone'))
    await expect(reached).rejects.toThrow('gone')
    asked[0]?.({ revision: 14, newest: 13, count: 3 })
    await delay(100)
    expect(ended).toEqual([])
  })
})

let prefixes = 0

describeWithEtcd('etcd', () => {
  let etcd: TestEtcd
  let prefix: string
  beforeAll(async () => {
    etcd = await startEtcd()
  })

  const timing = { callMs: 500, keepaliveMs: 200, keepaliveTimeoutMs: 200 }
  const newPrefix = (): string => {
    prefix = `/catch-up-${++prefixes}/`
    return prefix
  }
  const put = async (name: string, text = 'x: 1'): Promise<bigint> =>
    BigInt((await etcd.client.put(`${prefix}config/${name}`).value(text)).header.revision)

  test('says of a prefix how many keys it has, and which was written last of those that are newer than what is known', async () => {
    const client = await connectEtcd({ endpoints: [] }, etcd.endpoint)
    atTestEnd(() => client.close())
    newPrefix()
    const first = await put('a')
    const second = await put('b')
    const third = await put('c')
    await etcd.client.delete().key(`${prefix}config/b`)
    const elsewhere = BigInt((await etcd.client.put(`${prefix}other`).value('x')).header.revision)
    const keys = `${prefix}config/`
    // The count is of all keys, also of those that the filter leaves out.
    expect(await readMark(client, keys, first)).toEqual({ revision: elsewhere, newest: third, keys: 2 })
    expect(await readMark(client, keys, second)).toEqual({ revision: elsewhere, newest: third, keys: 2 })
    expect(await readMark(client, keys, third)).toEqual({ revision: elsewhere, newest: 0n, keys: 2 })
    expect(await readMark(client, keys, elsewhere)).toEqual({ revision: elsewhere, newest: 0n, keys: 2 })
    expect(await readMark(client, '/nothing/', 0n)).toEqual({ revision: elsewhere, newest: 0n, keys: 0 })
  })

  /** A consumer that takes every update at once, of a source whose wire to etcd can be cut. */
  async function followed() {
    const wire = await startTcpProxy(etcd.port)
    const endpoints = [wire.endpoint]
    const source = createEtcdSource({ endpoints, prefix: newPrefix(), log: silentLog, timing })
    const reader = readSource(source)
    atTestEnd(() => reader.close())
    const follow = async (): Promise<void> => {
      for (;;) await reader.next()
    }
    const start = (): void => void follow().catch(() => {})
    const texts = (): Readonly<Record<string, string>> =>
      Object.fromEntries(
        Array.from(reader.texts, ([id, text]) => [id.slice(`etcd:${prefix}config/`.length), text] as const),
      )
    const caughtUp = async (): Promise<void> => await source.caughtUp?.(AbortSignal.timeout(10_000))
    return { wire, start, texts, caughtUp, source }
  }

  test('is caught up with when the consumer has dealt with all that was written before', async () => {
    const { start, texts, caughtUp } = await followed()
    start()
    for (let round = 0; round < 20; round++) {
      await put('a', `round: ${round}`)
      await put(`b${round % 3}`, 'x')
      if (round % 3 === 2) await etcd.client.delete().key(`${prefix}config/b1`)
      await caughtUp()
      expect(texts()).toMatchObject({ a: `round: ${round}` })
      expect('b1' in texts()).toBe(round % 3 === 1)
    }
  })

  test('is not caught up with before the consumer takes what it is told', async () => {
    const { start, texts, caughtUp } = await followed()
    await put('a')
    const caught = caughtUp()
    await delay(100)
    expect(await isDone(caught)).toBe(false)
    start()
    await caught
    expect(texts()).toEqual({ a: 'x: 1' })
  })

  test.each(['freeze', 'cut'] as const)('is caught up with once the wire is there again: %s', async (how) => {
    const { wire, start, texts, caughtUp } = await followed()
    await put('a', '1')
    start()
    await caughtUp()
    await wire[how]()
    await put('a', '2')
    await put('gone')
    await etcd.client.delete().key(`${prefix}config/gone`)
    const caught = caughtUp()
    await delay(300)
    expect(await isDone(caught)).toBe(false)
    expect(texts()).toEqual({ a: '1' })
    await wire.mend()
    await caught
    expect(texts()).toEqual({ a: '2' })
  })

  test('is caught up with when an etcd that was restored from a backup is believed, and from then on', async () => {
    const own = await startEtcd()
    const write = async (text: string): Promise<unknown> => await own.client.put(`${prefix}config/a`).value(text)
    const fenceMs = 1_500
    const source = createEtcdSource({ endpoints: [own.endpoint], prefix: newPrefix(), log: silentLog, timing, fenceMs })
    const reader = readSource(source)
    atTestEnd(() => reader.close())
    const heard: SourceUpdate[] = []
    const follow = async (): Promise<void> => {
      for (;;) heard.push(await reader.next())
    }
    follow().catch(() => {})
    const caughtUp = async (): Promise<void> => await source.caughtUp?.(AbortSignal.timeout(10_000))
    const text = (): string | undefined => reader.texts.get(`etcd:${prefix}config/a`)
    await write('of the backup')
    const backup = join(tempDir(), 'etcd.snapshot')
    own.save(backup)
    for (let count = 0; count < 20; count++) await write('lost')
    await caughtUp()
    expect(text()).toBe('lost')

    await own.restore(backup)
    await eventually(() => heard.at(-1)?.kind === 'unreachable')
    const caught = caughtUp()
    await delay(fenceMs / 3)
    expect(await isDone(caught)).toBe(false)
    await caught
    expect(text()).toBe('of the backup')
    // At a lower revision than what it had seen before.
    await write('since')
    await caughtUp()
    expect(text()).toBe('since')
  })

  test('is waited for until the one who waits goes', async () => {
    const { wire, start, caughtUp, source } = await followed()
    start()
    await caughtUp()
    wire.freeze()
    await expect(source.caughtUp?.(AbortSignal.timeout(50))).rejects.toThrow(/timeout/)
  })

  test('is caught up with though the token of the watch has ended long since', async () => {
    const auth = { user: 'root', password: 'secret' }
    const locked = await startForgetfulEtcd(auth)
    const logged: string[] = []
    const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
    const source = createEtcdSource({ endpoints: [locked.endpoint], prefix: newPrefix(), log, timing, auth })
    const reader = readSource(source)
    atTestEnd(() => reader.close())
    const following = reader.readUntil(({ kind }) => kind === 'unreachable').catch(() => {})
    await source.caughtUp?.(AbortSignal.timeout(5_000))
    await delay(2_500)
    await source.caughtUp?.(AbortSignal.timeout(5_000))
    expect(logged.join('')).toMatch(/cannot be asked what is newest: the token has ended/)
    await reader.close()
    await following
  })
})
