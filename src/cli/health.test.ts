import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startAdmin } from '../../test/support/admin-bed.ts'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { runCommand, startCommand } from '../../test/support/command.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { eventually } from '../../test/support/poll.ts'

interface Answer {
  status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** What answers as `answers` say, and with the last again and again. */
async function startReady(...answers: readonly Answer[]): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const { status, body } = answers[Math.min(asked.length, answers.length - 1)] as Answer
    asked.push(request.url ?? '')
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const notRead: Answer = {
  status: 503,
  body: {
    ready: false,
    draining: false,
    sources: [
      { name: './config', state: 'read' },
      { name: 'etcd', state: 'unreachable' },
    ],
  },
}
const drains: Answer = { status: 503, body: { ready: false, draining: true, sources: [] } }
const ready: Answer = { status: 200, body: { ready: true, serving: 'last good', sources: [] } }

describe('fairlead health', () => {
  test('is 0 while the server is ready, and says what it serves', async () => {
    const { url } = await startAdmin()
    expect(await runCommand(['health', '--server', url])).toEqual({
      code: 0,
      out: 'ready: it serves the current configuration\n',
      err: '',
    })
    const restored = await startReady(ready)
    expect((await runCommand(['health', '--server', restored.url])).out).toContain('the last good configuration')
    expect(restored.asked).toEqual(['/ready'])
    const source = { name: './config', state: 'read', documents: 0 }
    const empty = await startReady({
      status: 200,
      body: { ready: true, serving: 'current', revision: 0, sources: [source] },
    })
    expect(await runCommand(['health', '--server', empty.url])).toMatchObject({
      code: 0,
      out: 'ready: it serves nothing, for no document was ever in force\n',
    })
  })

  test.each([
    ['has not read a source', notRead, 'not ready: it has not read etcd (unreachable)\n'],
    ['drains', drains, 'not ready: it drains, to end\n'],
  ])('is 1 while the server %s, which lives nevertheless', async (_case, answer, out) => {
    const { url } = await startReady(answer)
    expect(await runCommand(['health', '--server', url])).toEqual({ code: 1, out, err: '' })
    const { url: live } = await startAdmin()
    expect(await runCommand(['health', '--live', '--server', live])).toEqual({ code: 0, out: 'alive\n', err: '' })
  })

  test('is 3 where nothing answers, at once and after the time that it may wait', async () => {
    const [port] = await freePorts(1)
    for (const wait of [[], ['--wait', '300ms']]) {
      const { code, err } = await runCommand(['health', '--server', `127.0.0.1:${port}`, ...wait])
      expect([code, err]).toEqual([3, expect.stringContaining('no control plane answers')])
    }
  })

  test('waits until it is ready', async () => {
    const { url, asked } = await startReady(notRead, drains, ready)
    expect((await runCommand(['health', '--server', url, '--wait', '1m'])).code).toBe(0)
    expect(asked).toHaveLength(3)
  })

  test('stops waiting at a signal', async () => {
    const { url, asked } = await startReady(notRead)
    const command = startCommand(['health', '--server', url, '--wait', '1h'])
    await eventually(() => asked.length > 1)
    expect((await command.stop()).code).toBe(1)
  })

  test.each(['127.0.0.1', '0.0.0.0', ''])(
    'asks where FAIRLEAD_ADMIN has the server listen, on %j too',
    async (host) => {
      const { url, asked } = await startReady(ready)
      const env = { FAIRLEAD_ADMIN: `${host}:${new URL(url).port}` }
      expect((await runCommand(['health'], { env })).code).toBe(0)
      expect(asked).toEqual(['/ready'])
    },
  )

  test('refuses a time without a unit', async () => {
    const { code, err } = await runCommand(['health', '--wait', 'long'])
    expect([code, err]).toEqual([2, expect.stringContaining('Give it a duration such as 500ms')])
  })
})
