import { expect, test } from 'vitest'
import { createFileStore } from '../support/document-store.ts'
import { cluster } from '../support/documents.ts'
import { sendRudeClients, strictHeap } from '../support/rude-clients.ts'
import { startServer } from '../support/server-process.ts'
import { openStream, typeUrlOf } from '../support/wire-client.ts'

test('a server outlives clients that go away and ask on in one packet', async () => {
  const store = createFileStore()
  await store.write(cluster('shop'))
  const { server } = await startServer(store.flags, { env: strictHeap })
  const port = Number(server.split(':').at(-1))
  await sendRudeClients(port)
  const stream = openStream({ port, protocol: 'delta' })
  stream.send({ node: { id: 'edge', cluster: 'edge' }, type_url: typeUrlOf('cluster') })
  expect((await stream.next()).resources.map(({ name }) => name)).toEqual(['shop'])
})
