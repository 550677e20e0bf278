import type { Clock } from '../../clock.ts'
import type { Circuit } from '../cluster/cluster.ts'
import type { Host } from '../cluster/host.ts'
import { type ClusterTraffic, countBegun, countEnder, countOver } from './cluster-traffic.ts'
import type { OpeningTransport } from './open-transport.ts'
import { type UpstreamConnection, UpstreamFailure } from './upstream.ts'

export interface RawConnectionOptions {
  readonly clock: Clock
  readonly circuit: Circuit
  readonly traffic: ClusterTraffic
  readonly host: Host
  /** A health check: it counts nowhere. */
  readonly isProbe: boolean
  open(): OpeningTransport
  /** Is given what closes it, and returns what forgets that. */
  onOpened(close: () => void): () => void
}

/** A connection of which the bytes are its caller's; one is made for each caller. */
export async function openRawConnection(options: RawConnectionOptions): Promise<UpstreamConnection> {
  const { clock, circuit, traffic, host, isProbe } = options
  if (isProbe) {
    const { socket, localAddress } = await options.open().done
    socket.on('error', () => undefined)
    return { socket, localAddress, close: () => socket.destroy() }
  }
  if (!circuit.connections.take()) {
    traffic.cxOverflow.add()
    throw new UpstreamFailure('UO', 'overflow')
  }
  countBegun(traffic, host)
  const startMs = clock.now()
  const end = (): void => {
    circuit.connections.give()
    countOver(traffic, host)
  }
  try {
    const { socket, localAddress } = await options.open().done
    const openedMs = clock.now()
    traffic.cxConnectMs.record(openedMs - startMs)
    let isLocal = false
    const close = (): void => {
      isLocal = true
      socket.destroy()
    }
    const forget = options.onOpened(close)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      forget()
      end()
      traffic.cxLengthMs.record(clock.now() - openedMs)
      traffic.cxRxBytes.add(socket.bytesRead)
      traffic.cxTxBytes.add(socket.bytesWritten)
      countEnder(traffic, isLocal)
    })
    return { socket, localAddress, close }
  } catch (error) {
    end()
    traffic.cxConnectFail.add()
    host.stats.cxConnectFail++
    if (error instanceof UpstreamFailure && error.reason === 'connection timeout') traffic.cxConnectTimeout.add()
    throw error
  }
}
