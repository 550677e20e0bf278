import { beforeAll, expect, test } from 'vitest'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { ControlPlaneError } from '../errors.ts'
import { maxValueBytes } from './etcd-source.ts'
import { type DocumentChanges, putDocuments } from './etcd-writer.ts'

function documents(count: number, text = 'x'): DocumentChanges['upserts'] {
  return Array.from({ length: count }, (_, index) => ({ key: `many/${index}`, text }))
}

describeWithEtcd('writing documents to etcd', () => {
  let etcd: TestEtcd

  beforeAll(async () => {
    etcd = await startEtcd()
  })

  const put = async (changes: Partial<DocumentChanges>, batches = false): Promise<readonly string[]> =>
    await putDocuments({ endpoints: [etcd.endpoint] }, { upserts: [], deletes: [], ...changes }, { batches })

  const stored = async (): Promise<Record<string, string>> => await etcd.client.getAll().prefix('/fairlead/').strings()

  test('additions, changes and deletions are one transaction', async () => {
    await put({ upserts: [{ key: 'cluster/a', text: '1' }] })
    const revisions = await put({ upserts: [{ key: 'cluster/b', text: 'é' }], deletes: ['cluster/a'] })
    expect(revisions).toHaveLength(1)
    expect(await stored()).toEqual({ '/fairlead/config/cluster/b': 'é' })
    const { kvs } = await etcd.client.kv.range({ key: Buffer.from('/fairlead/config/cluster/b') })
    expect(kvs[0]?.mod_revision).toBe(revisions[0])
  })

  test('nothing to write is no transaction', async () => {
    expect(await put({})).toEqual([])
  })

  test('128 operations fit, one more is refused, and with batches the deletions come last', async () => {
    expect(await put({ upserts: documents(128) })).toHaveLength(1)
    const change = { upserts: documents(128, 'y'), deletes: ['cluster/b'] }
    await expect(put(change)).rejects.toThrow(/129 changes.*--batches/)
    expect((await stored())['/fairlead/config/many/0']).toBe('x')
    const [first, second] = await put(change, true)
    const between = await etcd.client.kv.range({
      key: Buffer.from('/fairlead/config/cluster/b'),
      revision: first as string,
    })
    expect(between.kvs).toHaveLength(1)
    expect(second).toBeDefined()
    expect((await stored())['/fairlead/config/cluster/b']).toBeUndefined()
  })

  test('more bytes than a request takes are refused, and with batches written in several', async () => {
    const upserts = documents(3, 'z'.repeat(700_000))
    await expect(put({ upserts })).rejects.toMatchObject({ code: 'usage' })
    expect(await put({ upserts }, true)).toHaveLength(3)
    expect(await put({ deletes: upserts.map(({ key }) => key) })).toHaveLength(1)
  })

  test.each<[string, Partial<DocumentChanges>]>([
    ['an empty key', { upserts: [{ key: '', text: '' }] }],
    ['a key that is given twice', { upserts: [{ key: 'a', text: '' }], deletes: ['a'] }],
    ['a text that no source would read', { upserts: [{ key: 'a', text: 'x'.repeat(maxValueBytes + 1) }] }],
  ])('%s is refused', async (_, change) => {
    await expect(put(change, true)).rejects.toMatchObject({ code: 'usage' })
  })

  test('an endpoint that does not answer is passed over, and none that does is an error', async () => {
    const [port] = await freePorts(1)
    const nobody = `http://127.0.0.1:${port}`
    const change = { upserts: [{ key: 'a', text: '' }], deletes: [] }
    expect(await putDocuments({ endpoints: [nobody, etcd.endpoint] }, change, { batches: false })).toHaveLength(1)
    const refused = putDocuments({ endpoints: [nobody] }, change, { batches: false })
    await expect(refused).rejects.toThrow(ControlPlaneError)
    await expect(refused).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining(nobody) })
  })
})
