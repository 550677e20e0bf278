import { expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { describeOnEtcd, type EtcdBed } from '../../test/support/etcd-bed.ts'
import { eventually } from '../../test/support/poll.ts'
import { readText } from '../../test/support/read-text.ts'
import { startTcpProxy } from '../../test/support/tcp-proxy.ts'
import { createElection, type Election } from './election.ts'
import { createGoodDocuments, type GoodDocuments, type GoodOptions, goodPrefix } from './good-documents.ts'

describeOnEtcd('documents that are shared', (open) => {
  interface Bed extends EtcdBed {
    readonly idOf: (name: string) => string
    readonly stored: () => Promise<Record<string, string>>
    readonly share: (options?: Partial<GoodOptions>) => GoodDocuments
    readonly stand: (id: string) => Election
  }

  function openBed(): Bed {
    const bed = open()
    const { etcd, prefix, log } = bed
    const etcdOptions = { endpoints: [etcd.endpoint], prefix }
    return {
      ...bed,
      idOf: (name) => `etcd:${prefix}config/${name}`,
      stored: async () => await etcd.client.namespace(goodPrefix({ prefix })).getAll().strings(),
      share(options) {
        const good = createGoodDocuments({ ...etcdOptions, log, delayMs: 1, retryMs: 100, checkMs: 100, ...options })
        atTestEnd(() => good.close())
        return good
      },
      stand(id) {
        const election = createElection({ ...etcdOptions, id, log, ttlS: 2 })
        atTestEnd(() => election.close())
        return election
      },
    }
  }

  test('are written in as many transactions as it takes, and read as they were', async () => {
    const { idOf, share, stand, prefix } = openBed()
    const good = share()
    const texts = new Map(Array.from({ length: 300 }, (_, index) => [`many/${index}`, `${index} ${'x'.repeat(9_000)}`]))
    for (const [name, content] of texts) good.note(readText(idOf(name), content))
    good.note(readText('file:other.yaml', 'of another source'))
    good.settle(new Map())
    good.lead(stand('a'))
    await eventually(async () => expect(await share().read()).toHaveLength(300))
    const read = (await share().read()) ?? []
    expect(new Map(read.map(({ id, text: content }) => [id, content]))).toEqual(
      new Map(Array.from(texts, ([name, content]) => [idOf(name), content])),
    )
    expect(read[0]?.origin).toEqual({ name: `etcd:${prefix}good/many/0`, revision: expect.stringMatching(/^\d+$/) })
    expect(good.problems).toEqual([])
  })

  test('are written by the leader alone, and by the next one as it knows them', async () => {
    const { idOf, share, stand, stored } = openBed()
    const first = stand('first')
    await eventually(() => first.isLeader)
    const second = stand('second')
    const [a, b] = [share(), share()]
    a.lead(first)
    b.lead(second)
    a.note(readText(idOf('cart'), 'of a'))
    a.settle(new Map())
    b.note(readText(idOf('cart'), 'of b'))
    b.settle(new Map())
    await eventually(async () => expect(await stored()).toEqual({ cart: 'of a' }))
    await first.close()
    await eventually(async () => expect(await stored()).toEqual({ cart: 'of b' }))
    a.note(readText(idOf('cart'), 'of a again'))
    a.settle(new Map())
    b.note(readText(idOf('pay'), 'of b'))
    b.settle(new Map())
    await eventually(async () => expect(await stored()).toEqual({ cart: 'of b', pay: 'of b' }))
  })

  test('go when nobody can have seen their document go, and stay while it is not known, or in force', async () => {
    const { etcd, idOf, share, stand, stored, prefix } = openBed()
    for (const name of ['forgotten', 'broken', 'restored'])
      await etcd.client.put(`${goodPrefix({ prefix })}${name}`).value(name)
    const good = share()
    await good.read()
    good.note(readText(idOf('broken'), '{', { hasError: true }))
    const restored = { key: idOf('restored'), origin: { name: 'restored' }, selectors: [], resources: [] }
    good.settle(new Map([[restored.key, restored]]))
    const election = stand('a')
    good.lead(election)
    await eventually(async () => expect(Object.keys(await stored()).sort()).toEqual(['broken', 'restored']))
  })

  test('come again when somebody deletes them', async () => {
    const { etcd, idOf, share, stand, stored, prefix } = openBed()
    const good = share()
    good.note(readText(idOf('cart'), 'x'))
    good.settle(new Map())
    good.lead(stand('a'))
    await eventually(async () => expect(await stored()).toEqual({ cart: 'x' }))
    await etcd.client.delete().prefix(goodPrefix({ prefix }))
    await eventually(async () => expect(await stored()).toEqual({ cart: 'x' }))
  })

  test('are written by way of another endpoint when one is lost in the midst of it', async () => {
    const { etcd, idOf, share, stand, stored } = openBed()
    const proxies = [await startTcpProxy(etcd.port), await startTcpProxy(etcd.port)]
    const good = share({ endpoints: proxies.map(({ endpoint }) => endpoint), checkMs: 60_000 })
    good.note(readText(idOf('cart'), 'x'))
    good.settle(new Map())
    good.lead(stand('a'))
    await eventually(async () => expect(await stored()).toEqual({ cart: 'x' }))
    await proxies[0]?.cut()
    good.note(readText(idOf('cart'), 'y'))
    good.settle(new Map())
    await eventually(async () => expect(await stored()).toEqual({ cart: 'y' }))
    expect(good.problems).toEqual([])
  })

  test('wait while etcd cannot be reached, which is told once', async () => {
    const { etcd, idOf, logged, share, stand, stored } = openBed()
    const proxy = await startTcpProxy(etcd.port)
    const good = share({ endpoints: [proxy.endpoint] })
    const election = stand('a')
    await eventually(() => election.isLeader)
    await proxy.cut()
    expect(await good.read()).toBeUndefined()
    good.lead(election)
    good.note(readText(idOf('cart'), 'x'))
    good.settle(new Map())
    await eventually(() => expect(good.problems).toHaveLength(1))
    expect(good.problems[0]).toMatchObject({
      severity: 'warning',
      code: 'fleet',
      message: expect.stringMatching(
        /^the last good documents cannot be written, which a new replica would serve: etcd does/,
      ),
    })
    await proxy.mend()
    await eventually(async () => expect(await stored()).toEqual({ cart: 'x' }))
    await eventually(() => expect(good.problems).toEqual([]))
    expect(logged.filter((line) => line.includes('it is tried again')).length).toBeLessThan(3)
    expect(logged.filter((line) => line.includes('can be written again'))).toHaveLength(1)
  })
})
