import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { probeOf, untilWell, watchHealth } from './instance-health.ts'

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  atTestEnd(() => void server.close())
  return (server.address() as AddressInfo).port
}

const answering = async (listener: RequestListener, host?: string): Promise<number> =>
  await listen(createServer(listener), host)

describe('a probe of an instance', () => {
  test.each<[boolean, number]>([
    [true, 200],
    [true, 204],
    [false, 301],
    [false, 404],
    [false, 503],
  ])('is %s for the answer %i of a path', async (isWell, status) => {
    const asked: (string | undefined)[] = []
    const port = await answering((request, response) => {
      asked.push(request.url)
      response.writeHead(status).end()
    })
    expect(await probeOf('/health?deep=1', '127.0.0.1', port)()).toBe(isWell)
    expect(asked).toEqual(['/health?deep=1'])
  })

  test('asks a URL elsewhere, and an address of IPv6', async () => {
    const port = await answering((_, response) => void response.end(), '::1')
    expect(await probeOf('/', '::1', port)()).toBe(true)
    expect(await probeOf(`http://[::1]:${port}/`, '10.0.0.1', 1)()).toBe(true)
  })

  test('is false where nobody listens, or answers in time', async () => {
    const server = createTcpServer((socket) => void socket.resume())
    const port = await listen(server)
    expect(await probeOf('/', '127.0.0.1', port)()).toBe(false)
    expect(await probeOf('tcp', '127.0.0.1', port)()).toBe(true)
    await new Promise((resolve) => {
      server.close(resolve)
    })
    expect(await probeOf('/', '127.0.0.1', port)()).toBe(false)
    expect(await probeOf('tcp', '127.0.0.1', port)()).toBe(false)
  })

  test.each(['https://127.0.0.1/', 'udp', 'http://', ''])('cannot be %j', (wanted) => {
    expect(() => probeOf(wanted, '127.0.0.1', 80)).toThrow(/--health .* cannot be used/)
  })
})

describe('the health of an instance', () => {
  /** What is told of it while it answers so, one after the other. */
  async function told(answers: string): Promise<readonly boolean[]> {
    const changes: boolean[] = []
    const stop = new AbortController()
    let asked = 0
    const probe = async (): Promise<boolean> => {
      if (asked === answers.length - 1) stop.abort()
      return answers[asked++] === '+'
    }
    await watchHealth(probe, { intervalMs: 1, signal: stop.signal, onChange: (isWell) => void changes.push(isWell) })
    return changes
  }

  test.each<[string, readonly boolean[]]>([
    ['++++++++.', []],
    ['--+--+--.', []],
    ['+---.', [false]],
    ['------.', [false]],
    ['---+-+-+-.', [false]],
    ['---++.', [false, true]],
    ['---++--+---.', [false, true, false]],
  ])('as it answers %s is told as %j', async (answers, changes) => {
    expect(await told(answers)).toEqual(changes)
  })

  test('is not told any more when it is to stop, even by an answer that is under way', async () => {
    expect(await told('---')).toEqual([])
  })

  test('is waited for until it is well, or nobody waits any more', async () => {
    const answers = [false, false, true]
    await untilWell(async () => answers.shift() ?? false, new AbortController().signal)
    expect(answers).toEqual([])
    const stop = new AbortController()
    const waiting = untilWell(async () => {
      stop.abort()
      return false
    }, stop.signal)
    await waiting
    expect(stop.signal.aborted).toBe(true)
  })
})
