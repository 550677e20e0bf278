import type { Clock } from '../../clock.ts'
import type { HttpProtocol } from './exchange.ts'
import type { StreamInfo } from './stream-info.ts'

/** What is known of a stream, or raw connection, when it begins. */
export function createStreamInfo(clock: Clock, protocol?: HttpProtocol): StreamInfo {
  return {
    startMs: clock.now(),
    startTime: new Date(),
    protocol,
    requestEndMs: undefined,
    firstUpstreamByteMs: undefined,
    lastByteSentMs: undefined,
    bytesReceived: 0,
    bytesSent: 0,
    responseCode: undefined,
    responseCodeDetails: undefined,
    flags: new Set(),
    routeName: undefined,
    virtualHost: undefined,
    upstreamCluster: undefined,
    upstreamHost: undefined,
    upstreamLocalAddress: undefined,
    upstreamProtocol: undefined,
    upstreamTransportFailure: undefined,
    attempts: 0,
    connectionTerminationDetails: undefined,
    dynamicMetadata: new Map(),
    filterState: new Map(),
  }
}
