import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import type { EtcdClient } from './etcd-client.ts'
import { type EtcdChange, watchChanges } from './etcd-watch.ts'

const put = (revision: number): object => ({
  events: [{ type: 'Put', kv: { key: Buffer.from('/k'), value: Buffer.from('v'), mod_revision: String(revision) } }],
})

test('a change that arrives after the watch ended is not told: what was read since is newer', async () => {
  const stream = Object.assign(new EventEmitter(), { cancel: () => {}, write: () => {} })
  const client = { watchClient: { watch: () => Promise.resolve(stream) } } as unknown as EtcdClient
  const changes: EtcdChange[] = []
  const watching = watchChanges(
    client,
    { prefix: '/', from: 1n, timeoutMs: 1000, onChange: (change) => changes.push(change) },
    new AbortController().signal,
  )
  await new Promise((resolve) => setImmediate(resolve))
  stream.emit('data', { created: true, events: [] })
  stream.emit('data', put(2))
  stream.emit('error', new Error('broken'))
  stream.emit('data', put(3))
  expect(await watching).toEqual({ reason: 'broken' })
  expect(changes.map(({ revision }) => revision)).toEqual([2n])
})
