import { expect, test } from 'vitest'
import { createFileStore } from '../support/document-store.ts'
import { cluster } from '../support/documents.ts'
import { eventually } from '../support/poll.ts'
import { startServer } from '../support/server-process.ts'
import { openStream, typeUrlOf } from '../support/wire-client.ts'

test('a second SIGTERM ends a server at once that drains', async () => {
  const store = createFileStore()
  await store.write(cluster('shop'))
  const server = await startServer({ ...store.flags, drainTimeout: '1h' })
  for (const id of ['edge-1', 'edge-2', 'edge-3']) {
    const stream = openStream({ port: Number(server.server.split(':').at(-1)), protocol: 'delta' })
    stream.send({ node: { id, cluster: 'edge' }, type_url: typeUrlOf('cluster') })
    expect((await stream.next()).resources.map(({ name }) => name)).toEqual(['shop'])
  }
  const ended = server.terminate()
  await eventually(() => server.log().includes('draining: streams are closed one by one'))
  // It is up: the last stream is to be closed within the hour.
  expect((await fetch(`${server.adminUrl}/ready`)).status).toBe(503)
  void server.terminate()
  // By the signal, and not by an exit of its own.
  expect(await ended).toBe(null)
})
