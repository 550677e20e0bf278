import { expect, test } from 'vitest'
import { nodes } from '../support/admin-client.ts'
import { metric } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import { type Changes, cluster } from '../support/documents.ts'
import { openConnection } from '../support/h2-client.ts'
import { eventually } from '../support/poll.ts'
import { startServer } from '../support/server-process.ts'
import { delimited } from '../support/wire-bytes.ts'
import { aggregatedMethod, openStream, typeUrlOf, type WireStream } from '../support/wire-client.ts'

const mebibyte = 1024 * 1024

/** A response of this size, so often, to so many that read none: 800 MB, were they kept for them. */
const paddingBytes = 200_000
const changes = 100
const stalledClients = 40

/** What streams may have on their way, what is remembered of answers (64 MiB), and what the garbage collector lets lie. */
const allowedBytes = 192 * mebibyte

const large = (revision: number): Changes =>
  cluster('large', { alt_stat_name: `${revision}${'x'.repeat(paddingBytes)}` })

/** Resolves when the client has accepted that very revision. */
async function follow(stream: WireStream, revision: number): Promise<void> {
  for (;;) {
    const { nonce, version, resources } = await stream.next(10_000)
    stream.send({ type_url: typeUrlOf('cluster'), version_info: version, response_nonce: nonce })
    if (Buffer.from(resources[0]?.bytes ?? []).includes(`${revision}xxx`)) return
  }
}

test('clients that never read cost little memory, and keep nobody else waiting (rule 80)', async () => {
  const store = createFileStore()
  await store.write(large(0))
  const server = await startServer({ ...store.flags, debounce: '5ms', ackWaitClusters: '1ms' })
  const port = Number(server.server.split(':')[1])
  const quick = openStream({ port, protocol: 'sotw' })
  quick.send({ node: { id: 'quick', cluster: 'edge' }, type_url: typeUrlOf('cluster') })
  await follow(quick, 0)
  let revision = 0
  const timeChanges = async (count: number): Promise<number> => {
    const times: number[] = []
    for (let index = 0; index < count; index++) {
      revision += 1
      const began = performance.now()
      await store.write(large(revision))
      await follow(quick, revision)
      times.push(performance.now() - began)
    }
    return times.sort((a, b) => a - b)[Math.floor(count / 2)] as number
  }
  const held = async (): Promise<Record<'resident' | 'external', number>> => ({
    resident: await metric(server, 'process_resident_memory_bytes'),
    external: await metric(server, 'nodejs_external_memory_bytes'),
  })

  const aloneMs = await timeChanges(30)
  const before = await held()
  const { path } = aggregatedMethod('sotw')
  for (let index = 0; index < stalledClients; index++) {
    const connection = openConnection(port)
    const node = Buffer.concat([delimited(1, `stalled-${index}`), delimited(2, 'edge')])
    connection.open(path).send(Buffer.concat([delimited(2, node), delimited(4, typeUrlOf('cluster'))]))
    connection.stopReading()
  }
  await eventually(async () => (await nodes(server.adminUrl)).length === stalledClients + 1)
  const besideMs = await timeChanges(changes)

  await eventually(async () => {
    const after = await held()
    expect(after.resident - before.resident).toBeLessThan(allowedBytes)
    expect(after.external - before.external).toBeLessThan(allowedBytes)
    return true
  })
  const stalled = (await nodes(server.adminUrl)).filter(({ id }) => id !== 'quick')
  expect(stalled).toHaveLength(stalledClients)
  // Each was told a few revisions while its socket took them, and then no more.
  for (const { types } of stalled) expect(types['cluster']?.responses).toBeLessThan(changes / 2)
  expect(besideMs).toBeLessThan(2 * aloneMs + 100)
  const after = await held()
  const grown = Object.entries(after).map(
    ([what, bytes]) => `${what} ${Math.round((bytes - before[what as 'resident']) / mebibyte)} MiB`,
  )
  console.log(
    `${stalledClients} clients that never read: ${grown.join(', ')}; a change took ${Math.round(besideMs)} ms, ${Math.round(aloneMs)} ms without them`,
  )
})
