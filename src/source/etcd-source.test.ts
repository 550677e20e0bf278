import { join } from 'node:path'
import pino from 'pino'
import { beforeAll, expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../../test/support/certificates.ts'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { readSource, type SourceReader, summaryOf } from '../../test/support/source-reader.ts'
import { describeSource } from '../../test/support/source-suite.ts'
import { startTcpProxy } from '../../test/support/tcp-proxy.ts'
import { tempDir } from '../../test/support/temp.ts'
import { connectEtcd, type EtcdTlsOptions } from './etcd-client.ts'
import { createEtcdSource, type EtcdSourceOptions, maxValueBytes } from './etcd-source.ts'
import { type EtcdChange, watchChanges } from './etcd-watch.ts'
import { putDocuments } from './etcd-writer.ts'

/** So short that a test sees in a second what takes 20 in production. */
const timing = { callMs: 500, keepaliveMs: 200, keepaliveTimeoutMs: 200 }

/** Every test has keys of its own in one etcd. */
let prefixes = 0

function newPrefix(): string {
  return `/test-${++prefixes}/`
}

/** Files of an authority of its own. */
async function writeTls(): Promise<Required<EtcdTlsOptions>> {
  const directory = tempDir()
  const authority = await createAuthority()
  const { certificate, key } = writeCertificate(directory, 'etcd', await authority.issue({ name: 'etcd' }))
  return { ca: writeAuthorities(directory, 'ca', [authority]), cert: certificate, key }
}

describeWithEtcd('etcd', () => {
  let etcd: TestEtcd
  let logged: string[]
  const log = pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) })

  beforeAll(async () => {
    logged = []
    etcd = await startEtcd()
  })

  const read = (options: Partial<EtcdSourceOptions>): SourceReader => {
    const reader = readSource(createEtcdSource({ endpoints: [etcd.endpoint], log, timing, ...options }))
    atTestEnd(reader.close)
    return reader
  }

  describeSource('a prefix of etcd', async () => {
    const prefix = newPrefix()
    const proxy = await startTcpProxy(etcd.port)
    const keyOf = (name: string): string => `${prefix}config/${name}`
    return {
      source: createEtcdSource({ endpoints: [proxy.endpoint], prefix, log, timing }),
      idOf: (name) => `etcd:${keyOf(name)}`,
      put: async (name, text) => void (await etcd.client.put(keyOf(name)).value(text)),
      remove: async (name) => void (await etcd.client.delete().key(keyOf(name))),
      apply: async ({ put = {}, remove = [] }) => {
        const upserts = Object.entries(put).map(([key, text]) => ({ key, text }))
        await putDocuments({ endpoints: [etcd.endpoint], prefix }, { upserts, deletes: remove }, { batches: false })
      },
      fail: proxy.cut,
      recover: proxy.mend,
      async close() {
        await expect.poll(() => proxy.openConnections).toBe(0)
      },
    }
  })

  test('documents are named by their key, with the revision that wrote them', async () => {
    const prefix = newPrefix()
    const { header } = await etcd.client.put(`${prefix}config/cluster/cart`).value('a')
    await etcd.client.put(`${prefix}observed/cart`).value('not a document')
    await etcd.client.put(`${prefix}configuration`).value('not a document')
    const name = `etcd:${prefix}config/cluster/cart`
    expect((await read({ prefix }).nextRead()).upserted).toEqual([
      { id: name, text: 'a', origin: { name, revision: header.revision } },
    ])
  })

  test('what etcd sends in fragments is told whole', async () => {
    const prefix = newPrefix()
    let from: string | undefined
    for (let index = 0; index < 6; index++) {
      const { header } = await etcd.client.put(`${prefix}config/${index}`).value(`${index}`.padEnd(1_000_000, '.'))
      from ??= header.revision
    }
    const client = await connectEtcd({ endpoints: [] }, etcd.endpoint)
    atTestEnd(() => client.close())
    const abort = new AbortController()
    const told = await new Promise<EtcdChange>((resolve, reject) => {
      const options = { prefix, from: BigInt(from ?? 0), timeoutMs: 5_000, onChange: resolve }
      watchChanges(client, options, abort.signal).then(({ reason }) => reject(new Error(reason)), reject)
    })
    abort.abort()
    expect(told.changes.map(({ key }) => key)).toEqual(Array.from({ length: 6 }, (_, n) => `${prefix}config/${n}`))
  })

  test('more keys than a page holds are read at one revision', async () => {
    const prefix = newPrefix()
    const upserts = Array.from({ length: 2_500 }, (_, index) => ({ key: `${index}`, text: `text ${index}` }))
    await putDocuments({ endpoints: [etcd.endpoint], prefix }, { upserts, deletes: [] }, { batches: true })
    const { upserted } = await read({ prefix }).nextRead()
    expect(new Map(upserted.map(({ id, text }) => [id, text]))).toEqual(
      new Map(upserts.map(({ key, text }) => [`etcd:${prefix}config/${key}`, text])),
    )
  })

  test('values that make a page too large are read in smaller pages', async () => {
    const prefix = newPrefix()
    const upserts = Array.from({ length: 12 }, (_, index) => ({ key: `${index}`, text: `${index}`.repeat(400_000) }))
    await putDocuments({ endpoints: [etcd.endpoint], prefix }, { upserts, deletes: [] }, { batches: true })
    const { upserted } = await read({ prefix, maxAnswerBytes: 1_000_000 }).nextRead()
    expect(upserted.map(({ text }) => text).sort()).toEqual(upserts.map(({ text }) => text).sort())
  })

  test.each([
    ['is too large', Buffer.alloc(maxValueBytes + 1, 0x20), 'too-large'],
    ['is not UTF-8', Buffer.of(0x61, 0xff), 'unreadable'],
  ])('a value that %s is a problem at its key and keeps what it held', async (_, value, code) => {
    const prefix = newPrefix()
    const key = `${prefix}config/a`
    await etcd.client.put(key).value('good')
    const reader = read({ prefix })
    await reader.nextRead()
    const { header } = await etcd.client.put(key).value(value)
    const origin = { name: `etcd:${key}`, revision: header.revision }
    const trouble = {
      unreadable: [{ id: `etcd:${key}`, origin }],
      problems: [{ severity: 'error', code, origin }],
      isEmpty: false,
    }
    expect(await reader.next()).toMatchObject({ upserted: [], removed: [], ...trouble })
    expect(await read({ prefix }).next()).toMatchObject({ upserted: [], removed: [], ...trouble })
    await etcd.client.put(key).value('better')
    expect(await reader.next()).toMatchObject({ upserted: [{ text: 'better' }], unreadable: [], problems: [] })
  })

  test('a compaction while the server was away loses nothing', async () => {
    const prefix = newPrefix()
    const own = await startEtcd()
    const proxy = await startTcpProxy(own.port)
    await own.client.put(`${prefix}config/a`).value('1')
    await own.client.put(`${prefix}config/b`).value('1')
    const reader = read({ endpoints: [proxy.endpoint], prefix })
    await reader.nextRead()
    await proxy.cut()
    await reader.nextUnreachable()
    await own.client.delete().key(`${prefix}config/a`)
    const { header } = await own.client.put(`${prefix}config/b`).value('2')
    await own.client.kv.compact({ revision: header.revision, physical: true })
    await proxy.mend()
    expect(summaryOf(await reader.next())).toEqual({
      put: { [`etcd:${prefix}config/b`]: '2' },
      removed: [`etcd:${prefix}config/a`],
    })
  })

  test.each(['stop', 'kill'] as const)('an etcd that ends (%s) and starts again is read on', async (how) => {
    const prefix = newPrefix()
    const own = await startEtcd()
    await own.client.put(`${prefix}config/a`).value('1')
    const reader = read({ endpoints: [own.endpoint], prefix })
    await reader.nextRead()
    await own[how]()
    const { problem } = await reader.nextUnreachable()
    expect(problem.message).toContain(own.endpoint)
    expect(problem.message).toContain('ECONNREFUSED')
    await own.start()
    const [back] = (await reader.readUntil(({ kind }) => kind === 'read')).slice(-1)
    expect(back && summaryOf(back)).toEqual({ put: {}, removed: [] })
    await expect
      .poll(
        async () =>
          await own.client
            .put(`${prefix}config/a`)
            .value('2')
            .then(
              () => true,
              () => false,
            ),
      )
      .toBe(true)
    expect(summaryOf(await reader.next())).toEqual({ put: { [`etcd:${prefix}config/a`]: '2' }, removed: [] })
  })

  test.each([
    [
      'a partition that drops everything',
      async () => {
        const proxy = await startTcpProxy(etcd.port)
        return { endpoint: proxy.endpoint, freeze: proxy.freeze, thaw: proxy.mend }
      },
    ],
    [
      'an etcd that hangs',
      async () => {
        const own = await startEtcd()
        return { endpoint: own.endpoint, freeze: own.freeze, thaw: async () => own.thaw() }
      },
    ],
  ])('%s shows, though no connection breaks', async (_, open) => {
    const place = await open()
    const reader = read({ endpoints: [place.endpoint], prefix: newPrefix() })
    await reader.nextRead()
    place.freeze()
    const { problem } = await reader.nextUnreachable()
    expect(problem.message).toContain('no answer in time')
    await place.thaw()
    await reader.nextRead()
  })

  test.runIf(process.env['FAIRLEAD_TEST_LONG'])(
    'a silent partition shows within 20 s as it is set up',
    { timeout: 60_000 },
    async () => {
      const proxy = await startTcpProxy(etcd.port)
      const reader = readSource(createEtcdSource({ endpoints: [proxy.endpoint], prefix: newPrefix(), log }))
      atTestEnd(reader.close)
      await reader.nextRead()
      const startedAt = performance.now()
      proxy.freeze()
      await reader.nextUnreachable()
      expect(performance.now() - startedAt).toBeLessThan(20_000)
    },
  )

  test('aborting ends it at once, even while it waits for an etcd that hangs', async () => {
    const proxy = await startTcpProxy(etcd.port)
    proxy.freeze()
    const reader = read({ endpoints: [proxy.endpoint], timing: { callMs: 60_000 } })
    const next = reader.next()
    await expect.poll(() => proxy.openConnections).toBeGreaterThan(0)
    await reader.close()
    await expect(next).rejects.toThrow('the source ended')
  })

  test('a quiet watch outlives many keepalives', async () => {
    const prefix = newPrefix()
    const proxy = await startTcpProxy(etcd.port)
    const reader = read({ endpoints: [proxy.endpoint], prefix })
    await reader.nextRead()
    const before = logged.length
    const next = reader.next()
    // The time that passes is the point: ten pings.
    await new Promise((resolve) => setTimeout(resolve, 10 * timing.keepaliveMs))
    expect(logged.slice(before)).toEqual([])
    await etcd.client.put(`${prefix}config/a`).value('1')
    expect(summaryOf(await next)).toEqual({ put: { [`etcd:${prefix}config/a`]: '1' }, removed: [] })
  })

  test('with several endpoints the loss of one is not told', async () => {
    const prefix = newPrefix()
    const [first, second] = [await startTcpProxy(etcd.port), await startTcpProxy(etcd.port)]
    const reader = read({ endpoints: [first, second].map(({ endpoint }) => endpoint), prefix })
    await reader.nextRead()
    await first.cut()
    await etcd.client.put(`${prefix}config/a`).value('1')
    expect(summaryOf(await reader.next())).toEqual({ put: { [`etcd:${prefix}config/a`]: '1' }, removed: [] })
    await second.cut()
    const { problem } = await reader.nextUnreachable()
    expect(problem.message).toContain(`${first.port}`)
    expect(problem.message).toContain(`${second.port}`)
  })

  test('an etcd that went back is not believed at once, then with a warning (rule 87)', async () => {
    const prefix = newPrefix()
    const own = await startEtcd()
    await own.client.put(`${prefix}config/a`).value('1')
    await own.client.put(`${prefix}config/b`).value('1')
    const reader = read({ endpoints: [own.endpoint], prefix, fenceMs: 1_500 })
    await reader.nextRead()
    await own.startEmpty()
    await reader.readUntil((update) => update.kind === 'unreachable' && update.problem.message.includes('went back'))
    const update = await reader.nextRead()
    expect(update).toMatchObject({ isEmpty: true, problems: [{ severity: 'warning' }] })
    expect(update.removed).toHaveLength(2)
    await own.client.put(`${prefix}config/a`).value('2')
    await own.client.put(`${prefix}config/a`).value('3')
    const [last] = (await reader.readUntil(() => reader.texts.get(`etcd:${prefix}config/a`) === '3')).slice(-1)
    expect(last).toMatchObject({ problems: [] })
  })

  test('an etcd that went back is not believed because others write to it (rule 87)', async () => {
    const prefix = newPrefix()
    const own = await startEtcd()
    await own.client.put(`${prefix}config/a`).value('1')
    await own.client.put(`${prefix}config/b`).value('1')
    const backup = join(tempDir(), 'etcd.snapshot')
    own.save(backup)
    await own.client.put(`${prefix}config/a`).value('2')
    await own.client.delete().key(`${prefix}config/b`)
    await own.client.put(`${prefix}config/c`).value('1')
    const reader = read({ endpoints: [own.endpoint], prefix, fenceMs: 3_000 })
    expect((await reader.nextRead()).upserted).toMatchObject([{ text: '2' }, { text: '1' }])
    const raise = async (): Promise<void> => {
      for (let count = 0; count < 10; count++) await own.client.put('/elsewhere').value('1')
    }

    await own.restore(backup)
    // As the replicas themselves do when they are there again, be it before anything was read.
    await raise()
    await reader.readUntil((update) => update.kind === 'unreachable' && update.problem.message.includes('went back'))
    await raise()
    const update = await reader.nextRead()
    expect(update).toMatchObject({ problems: [{ severity: 'warning' }], removed: [`etcd:${prefix}config/c`] })
    expect(reader.texts.get(`etcd:${prefix}config/a`)).toBe('1')
    await own.client.put(`${prefix}config/a`).value('3')
    const [last] = (await reader.readUntil(() => reader.texts.get(`etcd:${prefix}config/a`) === '3')).slice(-1)
    expect(last).toMatchObject({ problems: [] })
  })

  test('an etcd that went back is believed at once when it holds again what was read (rule 87)', async () => {
    const prefix = newPrefix()
    const own = await startEtcd()
    await own.client.put(`${prefix}config/a`).value('1')
    const backup = join(tempDir(), 'etcd.snapshot')
    own.save(backup)
    await own.client.put(`${prefix}config/a`).value('2')
    const reader = read({ endpoints: [own.endpoint], prefix })
    await reader.nextRead()
    await own.restore(backup)
    await reader.readUntil((update) => update.kind === 'unreachable' && update.problem.message.includes('went back'))
    await own.client.put(`${prefix}config/a`).value('2')
    const update = await reader.nextRead()
    expect(update.problems).toEqual([])
    expect(reader.texts.get(`etcd:${prefix}config/a`)).toBe('2')
  })

  test('TLS with client certificates is spoken, and a wrong authority is told', async () => {
    const prefix = newPrefix()
    const [ours, theirs] = [await writeTls(), await writeTls()]
    const own = await startEtcd({ tls: ours })
    await own.client.put(`${prefix}config/a`).value('1')
    const reader = read({ endpoints: [own.endpoint], prefix, tls: ours })
    expect((await reader.nextRead()).upserted).toHaveLength(1)
    const stranger = read({ endpoints: [own.endpoint], prefix, tls: { ...ours, ca: theirs.ca } })
    expect((await stranger.nextUnreachable()).problem.message).toMatch(/certificate|self-signed|signature/)
    const nobody = read({ endpoints: [own.endpoint], prefix, tls: { ca: ours.ca } })
    expect((await nobody.nextUnreachable()).problem.message).toMatch(
      /^etcd cannot be read: \S+: TLS fails: [\w ]*certificate[\w ]*$/,
    )
    const missing = read({ endpoints: [own.endpoint], prefix, tls: { ...ours, ca: '/nowhere/ca.pem' } })
    expect((await missing.nextUnreachable()).problem.message).toContain('/nowhere/ca.pem')
  })

  test('a user with a password is let in, another is told so, and no log line holds the password', async () => {
    const prefix = newPrefix()
    const auth = { user: 'fairlead', password: 'correct-horse' }
    const own = await startEtcd({ auth })
    await own.client.put(`${prefix}config/a`).value('1')
    const reader = read({ endpoints: [own.endpoint], prefix, auth })
    expect((await reader.nextRead()).upserted).toHaveLength(1)
    await own.client.put(`${prefix}config/a`).value('2')
    expect((await reader.nextRead()).upserted).toMatchObject([{ text: '2' }])
    await putDocuments({ endpoints: [own.endpoint], prefix, auth }, { upserts: [], deletes: ['a'] }, { batches: false })
    expect((await reader.nextRead()).isEmpty).toBe(true)
    const wrong = { user: 'fairlead', password: 'wrong-horse' }
    const { problem } = await read({ endpoints: [own.endpoint], prefix, auth: wrong }).nextUnreachable()
    expect(problem.message).toContain('authentication failed')
    const { problem: nobody } = await read({ endpoints: [own.endpoint], prefix }).nextUnreachable()
    expect(nobody.message).toContain('user name is empty')
    expect(JSON.stringify([problem, nobody, logged])).not.toMatch(/horse/)
  })
})
