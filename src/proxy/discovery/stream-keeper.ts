import { Client, type ClientDuplexStream, type StatusObject } from '@grpc/grpc-js'
import type { Clock, Timer } from '../../clock.ts'
import type { Log } from '../../log.ts'
import type { BackOff } from './back-off.ts'
import type { XdsServer } from './xds-server.ts'

export interface StreamListener {
  /** A new stream: nothing of the one before is known to the server. */
  onOpen(): void
  onMessage(bytes: Buffer): void
  /** It broke, or could not be opened; another one comes by itself. */
  onClosed(reason: string): void
}

/** The one stream to the control plane: opened anew whenever it breaks, after a pause that grows. */
export interface StreamKeeper {
  readonly isOpen: boolean
  send(bytes: Buffer): void
  /** Reads no more, as a proxy that hangs. */
  stall(): void
  resume(): void
  /** Breaks the stream; another one comes. */
  disconnect(): void
  close(): void
}

export interface StreamKeeperDeps {
  readonly server: XdsServer
  /** `/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources` */
  readonly method: string
  readonly clock: Clock
  readonly log: Log
  readonly backOff: BackOff
}

type Call = ClientDuplexStream<Buffer, Buffer>

const identity = (bytes: Buffer): Buffer => bytes

export function keepStream(
  { server, method, clock, log, backOff }: StreamKeeperDeps,
  listener: StreamListener,
): StreamKeeper {
  let client: Client | undefined
  let call: Call | undefined
  let retry: Timer | undefined
  let tries = 0
  let isStalled = false
  let isClosed = false

  function open(): void {
    retry = undefined
    // A channel has a back-off of its own, and would fail at once while that lasts.
    const target = server.targets[tries++ % server.targets.length] as string
    client = new Client(target, server.credentials, server.options)
    const opened: Call = client.makeBidiStreamRequest(method, identity, identity)
    call = opened
    opened.on('data', (bytes: Buffer) => {
      if (call !== opened) return
      backOff.reset()
      listener.onMessage(bytes)
    })
    opened.on('error', () => undefined)
    opened.on('status', (status: StatusObject) => {
      if (call === opened) onEnd(`${status.code} ${status.details}`)
    })
    if (isStalled) opened.pause()
    listener.onOpen()
  }

  function onEnd(reason: string): void {
    drop()
    const waitMs = backOff.nextMs()
    log.info({ reason, ms: Math.round(waitMs) }, 'the stream to the control plane is closed')
    listener.onClosed(reason)
    if (!isClosed) retry = clock.after(waitMs, open)
  }

  function drop(): void {
    const dropped = call
    call = undefined
    dropped?.cancel()
    client?.close()
    client = undefined
  }

  open()
  return {
    get isOpen() {
      return call !== undefined
    },
    send(bytes) {
      call?.write(bytes)
    },
    stall() {
      isStalled = true
      call?.pause()
    },
    resume() {
      isStalled = false
      call?.resume()
    },
    disconnect() {
      if (call !== undefined) onEnd('on demand')
    },
    close() {
      isClosed = true
      retry?.cancel()
      drop()
    },
  }
}
