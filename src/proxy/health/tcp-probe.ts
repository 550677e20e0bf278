import type { Duplex } from 'node:stream'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { TcpCheck } from './health-check-config.ts'
import { containsInOrder, type Probe, type ProbeOwner, type ProbeResult, passed, unreachable } from './probe.ts'

/** Connects, and where something is expected, sends and waits for it. */
export function createTcpProbe(host: ClusterHost, { send, receive }: TcpCheck, owner: ProbeOwner): Probe {
  const expectAnswer = (socket: Duplex, signal: AbortSignal): Promise<ProbeResult> =>
    new Promise((resolve) => {
      let content = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => {
        content = Buffer.concat([content, chunk])
        if (containsInOrder(content, receive)) resolve(passed)
      })
      const giveUp = (): void => resolve(unreachable)
      socket.once('close', giveUp)
      socket.once('end', giveUp)
      signal.addEventListener('abort', giveUp, { once: true })
      if (send.length > 0) socket.write(send)
    })
  return {
    async check(signal) {
      let socket: Duplex
      try {
        socket = await owner.connect(host)
      } catch {
        return unreachable
      }
      socket.on('error', () => undefined)
      try {
        if (signal.aborted) return unreachable
        // Where nothing is expected, that it can be connected is all there is to know.
        return receive.length === 0 ? passed : await expectAnswer(socket, signal)
      } finally {
        socket.destroy()
      }
    },
    close: () => undefined,
  }
}
