import { execFileSync } from 'node:child_process'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { ListenSocket } from './listen-socket.ts'

/** Node lets two sockets have one port as long as neither listens; the system gives away what this one could have. */
function isFree(port: number): boolean {
  const script = 'import socket, sys; socket.socket().bind(("127.0.0.1", int(sys.argv[1])))'
  try {
    execFileSync('python3', ['-c', script, String(port)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const isTaken = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })

test('A socket that rests refuses connections and keeps its port, and gives it back when nobody holds it', async () => {
  const socket = new ListenSocket({ address: '127.0.0.1', port: 0 }, undefined)
  socket.hold()
  const { port } = socket.address
  socket.rest()
  expect([isFree(port), await isTaken(port)]).toEqual([false, false])
  socket.rest()
  socket.giveTo((connection) => void connection.destroy())
  expect([isFree(port), await isTaken(port)]).toEqual([false, true])
  socket.letGo()
  expect(await isTaken(port)).toBe(false)

  const resting = new ListenSocket({ address: '127.0.0.1', port: 0 }, undefined)
  resting.hold()
  resting.rest()
  resting.letGo()
  expect(isFree(resting.address.port)).toBe(true)
})
