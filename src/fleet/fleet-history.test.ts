import pino from 'pino'
import { expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { eventually } from '../../test/support/poll.ts'
import { tempDir } from '../../test/support/temp.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { encodeOwn } from '../resource/own-message.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { HistoryDirectory } from '../snapshot/history/directory.ts'
import type { HistoryReader } from '../snapshot/history/reader.ts'
import { createHistory, type HistoryStep } from '../snapshot/store.ts'
import type { Unit } from '../snapshot/unit.ts'
import { createElection, type Election, leaderKey } from './election.ts'
import { createFleetHistory, type FleetHistory, historyPrefix, readFleetHistory } from './fleet-history.ts'

const api = loadEnvoyApi()
const secretText = 'c2VjcmV0IGtleSBtYXRlcmlhbA'

interface Replica {
  readonly election: Election
  readonly fleet: FleetHistory
  put(...units: Unit[]): void
  remove(key: string): void
  /** As SIGKILL: it says nothing to anybody. */
  close(): Promise<void>
}

interface Bed {
  readonly etcd: TestEtcd
  readonly logged: readonly string[]
  start(id: string, options?: { readonly maxRevisions?: number; readonly units?: readonly Unit[] }): Promise<Replica>
  read(): Promise<HistoryReader>
  /** Keys of the history in etcd. */
  keys(): Promise<readonly string[]>
}

async function startBed(): Promise<Bed> {
  const etcd = await startEtcd()
  const options = { endpoints: [etcd.endpoint], timing: { callMs: 500, keepaliveMs: 200, keepaliveTimeoutMs: 200 } }
  const logged: string[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
  return {
    etcd,
    logged,
    read: () => readFleetHistory(options, api),
    keys: async () => await etcd.client.getAll().prefix(historyPrefix({})).keys(),
    async start(id, { maxRevisions = 100, units = [] } = {}) {
      const own = await createHistory({ place: new HistoryDirectory(tempDir()), api, log })
      const election = createElection({ ...options, id, ttlS: 2, log })
      const append = (step: HistoryStep): void => {
        own.append(step)
        fleet.append(step)
      }
      own.append({ upserted: units, removed: [], cause: { documents: [] } })
      const fleet = createFleetHistory({ etcd: options, election, own, api, maxRevisions, maxBytes: 1e8, log })
      let isOpen = true
      const close = async (): Promise<void> => {
        if (!isOpen) return
        isOpen = false
        await fleet.close()
        await election.close()
        await own.close()
      }
      atTestEnd(close)
      return {
        election,
        fleet,
        close,
        put: (...changed) =>
          append({ upserted: changed, removed: [], cause: { documents: changed.map((unit) => unit.origin.name) } }),
        remove: (key) => append({ upserted: [], removed: [key], cause: { documents: [key] } }),
      }
    },
  }
}

function cluster(name: string, timeout = 1, bytes = 0): Resource {
  const altStatName = 'x'.repeat(bytes)
  const message = { name, altStatName, connectTimeout: { seconds: BigInt(timeout) } }
  return buildResource({
    typeUrl: resourceTypes.cluster.typeUrl,
    name,
    bytes: encodeOwn(api, 'envoy.config.cluster.v3.Cluster', message),
    origin: { name: `etcd:/fairlead/config/${name}` },
  })
}

function unit(name: string, resources: readonly Resource[] = [cluster(name)]): Unit {
  return {
    key: `etcd:/fairlead/config/${name}`,
    origin: { name: `etcd:/fairlead/config/${name}` },
    selectors: [],
    resources,
  }
}

const namesAt = async (reader: HistoryReader, revision: number): Promise<readonly string[] | undefined> =>
  (await reader.show(revision))?.units.flatMap(({ resources }) => resources.map(({ name }) => name)).sort()

const numbers = (reader: HistoryReader): readonly number[] => reader.revisions.map(({ revision }) => revision)

const leads = async ({ election }: Replica): Promise<void> => {
  await eventually(() => election.isLeader, { timeoutMs: 10_000 })
}

describeWithEtcd("the fleet's history", () => {
  test('is what the leader had in force, and anybody reads it', async () => {
    const bed = await startBed()
    expect((await bed.read()).revisions).toEqual([])
    const a = await bed.start('a', { units: [unit('cart'), unit('shop')] })
    await leads(a)
    await a.fleet.flush()
    a.put(unit('cart', [cluster('cart', 2)]))
    a.remove(unit('shop').key)
    await a.fleet.flush()
    const reader = await bed.read()
    expect(numbers(reader)).toEqual([1, 2, 3])
    expect(reader.revisions[0]?.documents).toEqual({
      count: 2,
      names: ['etcd:/fairlead/config/cart', 'etcd:/fairlead/config/shop'],
    })
    expect(await namesAt(reader, 1)).toEqual(['cart', 'shop'])
    expect(await namesAt(reader, 3)).toEqual(['cart'])
    expect((await reader.show(2))?.units[0]?.resources[0]?.json()).toMatchObject({ connect_timeout: '2s' })
    expect(await reader.show(4)).toBeUndefined()
    expect(a.fleet.problem).toBeUndefined()
  })

  test('goes on where the last leader left off, with what changed since', async () => {
    const bed = await startBed()
    const a = await bed.start('a', { units: [unit('cart'), unit('shop')] })
    await leads(a)
    const b = await bed.start('b', { units: [unit('cart'), unit('shop')] })
    const c = await bed.start('c', { units: [unit('cart', [cluster('cart', 9)]), unit('new')] })
    b.put(unit('of-no-leader'))
    await a.close()
    await eventually(() => b.election.isLeader || c.election.isLeader, { timeoutMs: 10_000 })
    const [next, last] = b.election.isLeader ? [b, c] : [c, b]
    await next.fleet.flush()
    await next.close()
    await leads(last)
    await last.fleet.flush()
    const reader = await bed.read()
    expect(numbers(reader)).toEqual([1, 2, 3])
    const [second, third] = last === c ? [2, 3] : [3, 2]
    expect(await namesAt(reader, second)).toEqual(['cart', 'of-no-leader', 'shop'])
    expect(await namesAt(reader, third)).toEqual(['cart', 'new'])
    expect(reader.revisions.at(-1)?.documents.count).toBe(4)
  }, 30_000)

  test('has no revision where another leader has the same in force', async () => {
    const bed = await startBed()
    const a = await bed.start('a', { units: [unit('cart')] })
    await leads(a)
    await a.close()
    const b = await bed.start('b', { units: [unit('cart')] })
    await leads(b)
    await b.fleet.flush()
    expect(numbers(await bed.read())).toEqual([1])
    b.put(unit('cart', [cluster('cart', 2)]))
    await b.fleet.flush()
    expect(numbers(await bed.read())).toEqual([1, 2])
  }, 30_000)

  test('is not written by a leader who was deposed, whatever it believes', async () => {
    const bed = await startBed()
    const a = await bed.start('a', { units: [unit('cart')] })
    await leads(a)
    await a.fleet.flush()
    await bed.etcd.client.put(leaderKey({})).value('somebody else')
    await bed.etcd.client.delete().key(leaderKey({}))
    await bed.etcd.client.put(leaderKey({})).value('somebody else')
    a.put(unit('late'))
    await a.fleet.flush()
    expect(numbers(await bed.read())).toEqual([1])
  })

  test('takes more than a value of etcd, and a torn end costs only what was torn', async () => {
    const bed = await startBed()
    const large = unit('large', [cluster('one', 1, 900_000), cluster('two', 1, 900_000), cluster('three', 1, 900_000)])
    const a = await bed.start('a', { units: [unit('cart')] })
    await leads(a)
    await a.fleet.flush()
    a.put(large)
    await a.close()
    expect(await namesAt(await bed.read(), 2)).toEqual(['cart', 'one', 'three', 'two'])
    const last = (await bed.keys()).toSorted().at(-1) as string
    await bed.etcd.client.delete().key(last)
    expect(numbers(await bed.read())).toEqual([1])
    const b = await bed.start('b', { units: [unit('cart'), unit('new')] })
    await leads(b)
    await b.fleet.flush()
    expect(bed.logged.join()).toContain('torn')
    const reader = await bed.read()
    expect(numbers(reader)).toEqual([1, 2])
    expect(await namesAt(reader, 2)).toEqual(['cart', 'new'])
  }, 30_000)

  test('keeps no more revisions than it may, and etcd no keys of those', async () => {
    const bed = await startBed()
    const a = await bed.start('a', { maxRevisions: 8, units: [unit('cart')] })
    await leads(a)
    await a.fleet.flush()
    for (let n = 2; n <= 30; n++) a.put(unit('cart', [cluster('cart', n)]))
    await a.fleet.flush()
    const reader = await bed.read()
    // And the one that the oldest of these is told against.
    expect(numbers(reader).length).toBeLessThanOrEqual(9)
    expect(reader.revisions.at(-1)?.revision).toBe(30)
    expect((await bed.keys()).length).toBeLessThan(20)
  })

  test('waits for an etcd that does not answer, and misses nothing of the term', async () => {
    const bed = await startBed()
    const a = await bed.start('a', { units: [unit('cart')] })
    await leads(a)
    await a.fleet.flush()
    await bed.etcd.kill()
    a.put(unit('cart', [cluster('cart', 2)]))
    a.put(unit('cart', [cluster('cart', 3)]))
    await eventually(() => a.fleet.problem !== undefined)
    expect(a.fleet.problem).toMatchObject({ severity: 'warning', code: 'history' })
    await bed.etcd.start()
    await eventually(async () => (await namesAt(await bed.read(), 2)) !== undefined, { timeoutMs: 20_000 })
    const reader = await bed.read()
    const newest = await reader.show(reader.revisions.at(-1)?.revision ?? 0)
    expect(newest?.units[0]?.resources[0]?.json()).toMatchObject({ connect_timeout: '3s' })
    expect(a.fleet.problem).toBeUndefined()
  }, 40_000)

  test('holds nothing that is sensitive', async () => {
    const bed = await startBed()
    const bytes = encodeOwn(api, 'envoy.extensions.transport_sockets.tls.v3.Secret', {
      name: 'tls',
      type: {
        case: 'tlsCertificate',
        value: { privateKey: { specifier: { case: 'inlineString', value: secretText } } },
      },
    })
    const secret = buildResource({
      typeUrl: resourceTypes.secret.typeUrl,
      name: 'tls',
      bytes,
      origin: { name: 'x' },
      isSensitive: true,
    })
    const a = await bed.start('a', { units: [unit('tls', [secret])] })
    await leads(a)
    await a.fleet.flush()
    expect(await namesAt(await bed.read(), 1)).toEqual(['tls'])
    const values = await bed.etcd.client.getAll().prefix(historyPrefix({})).buffers()
    expect(Object.values(values).length).toBeGreaterThan(0)
    for (const value of Object.values(values)) expect(value.includes(secretText)).toBe(false)
  })
})
