import { connect, type Socket } from 'node:net'
import { atTestEnd } from './at-test-end.ts'

/**
 * A connection of HTTP/2 by hand, for what no library would do: to write broken frames, to stop reading for ever while all
 * windows are open, to vanish. (Node's own client corrupts its memory where streams come and go at the pace of the fuzz.)
 */
export interface H2Connection {
  open(path: string): H2Stream
  readonly isOpen: boolean
  /** Takes no byte from the socket any more; the windows stay as wide open as they can be. */
  stopReading(): void
  /** Ends it and all its streams at once, as a process that is killed does. */
  destroy(): void
}

export interface H2Stream {
  /** As one gRPC message. */
  send(message: Buffer): void
  /** As they are. */
  write(bytes: Buffer): void
  /** Told of each whole message of the other side. */
  onMessage: (message: Buffer) => void
  /** `ended` when the other side said its last word, `reset` when it broke off, `lost` with the connection. Never rejects. */
  readonly over: Promise<'ended' | 'reset' | 'lost'>
  readonly isOver: boolean
  /** Half-closes. */
  end(): void
  /** Breaks off. */
  reset(): void
}

const frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const
const [endStream, acknowledged, endHeaders] = [1, 1, 4]
const maxFrameBytes = 16_384
const maxWindow = 2 ** 31 - 1
const firstWindow = 65_535

/** What an open stream still has to say, and may. */
interface OpenStream {
  readonly finish: (how: 'ended' | 'reset' | 'lost') => void
  readonly take: (bytes: Buffer) => void
  pending: Buffer[]
  isEnding: boolean
  window: number
}

/** Closed at the test's end. */
export function openConnection(port: number): H2Connection {
  const socket = connect(port, '127.0.0.1')
  const streams = new Map<number, OpenStream>()
  let lastId = -1
  let window = firstWindow
  let streamWindow = firstWindow
  let isOpen = true

  const close = (): void => {
    isOpen = false
    for (const stream of streams.values()) stream.finish('lost')
    streams.clear()
  }
  socket.on('error', () => {})
  socket.on('close', close)
  atTestEnd(() => void socket.destroy())
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  // No memory of headers, and the widest windows.
  writeFrame(socket, frame.settings, 0, 0, Buffer.concat([setting(1, 0), setting(4, maxWindow)]))
  writeFrame(socket, frame.windowUpdate, 0, 0, number32(maxWindow - firstWindow))

  const flush = (id: number, stream: OpenStream): void => {
    for (;;) {
      const [bytes] = stream.pending
      if (bytes === undefined) break
      const size = Math.min(bytes.length, maxFrameBytes, window, stream.window)
      if (size <= 0 && bytes.length > 0) return
      writeFrame(socket, frame.data, 0, id, bytes.subarray(0, size))
      window -= size
      stream.window -= size
      if (size === bytes.length) stream.pending.shift()
      else stream.pending[0] = bytes.subarray(size)
    }
    if (!stream.isEnding) return
    stream.isEnding = false
    writeFrame(socket, frame.data, endStream, id, Buffer.alloc(0))
  }
  const finish = (id: number, how: 'ended' | 'reset'): void => {
    streams.get(id)?.finish(how)
    streams.delete(id)
  }
  const receive = (type: number, flags: number, id: number, body: Buffer): void => {
    const stream = streams.get(id)
    const isLast = (flags & endStream) !== 0
    switch (type) {
      case frame.data:
        stream?.take(body)
        if (body.length > 0) writeFrame(socket, frame.windowUpdate, 0, 0, number32(body.length))
        if (isLast) finish(id, 'ended')
        break
      case frame.headers:
        if (isLast) finish(id, 'ended')
        break
      case frame.reset:
        finish(id, 'reset')
        break
      case frame.settings:
        if ((flags & acknowledged) !== 0) break
        for (let at = 0; at + 6 <= body.length; at += 6) {
          if (body.readUInt16BE(at) !== 4) continue
          const next = body.readUInt32BE(at + 2)
          for (const other of streams.values()) other.window += next - streamWindow
          streamWindow = next
        }
        writeFrame(socket, frame.settings, acknowledged, 0, Buffer.alloc(0))
        for (const [other, open] of streams) flush(other, open)
        break
      case frame.ping:
        if ((flags & acknowledged) === 0) writeFrame(socket, frame.ping, acknowledged, 0, body)
        break
      case frame.goAway:
        socket.destroy()
        break
      case frame.windowUpdate:
        if (id === 0) {
          window += body.readUInt32BE(0)
          for (const [other, open] of streams) flush(other, open)
        } else if (stream) {
          stream.window += body.readUInt32BE(0)
          flush(id, stream)
        }
        break
    }
  }
  const frames = cutter(
    9,
    (head) => head.readUIntBE(0, 3),
    (head, body) => receive(head[3] as number, head[4] as number, head.readUInt32BE(5) & maxWindow, body),
  )
  socket.on('data', frames)

  return {
    get isOpen() {
      return isOpen
    },
    stopReading: () => socket.pause(),
    destroy() {
      socket.destroy()
      close()
    },
    open(path) {
      lastId += 2
      const id = lastId
      const headers = { ':method': 'POST', ':scheme': 'http', ':path': path, ':authority': 'fairlead' }
      const all = { ...headers, 'content-type': 'application/grpc', te: 'trailers' }
      let isOver = false
      const open: OpenStream = {
        pending: [],
        isEnding: false,
        window: streamWindow,
        take: cutter(
          5,
          (head) => head.readUInt32BE(1),
          (_head, body) => stream.onMessage(body),
        ),
        finish: () => {},
      }
      const over = new Promise<'ended' | 'reset' | 'lost'>((resolve) => {
        Object.assign(open, {
          finish: (how: 'ended' | 'reset' | 'lost') => {
            isOver = true
            resolve(how)
          },
        })
      })
      const stream: H2Stream = {
        onMessage: () => {},
        over,
        get isOver() {
          return isOver
        },
        write(bytes) {
          if (isOver || open.isEnding) return
          open.pending.push(bytes)
          flush(id, open)
        },
        send(message) {
          const head = Buffer.alloc(5)
          head.writeUInt32BE(message.length, 1)
          stream.write(Buffer.concat([head, message]))
        },
        end() {
          if (isOver) return
          open.isEnding = true
          flush(id, open)
        },
        reset() {
          if (isOver) return
          writeFrame(socket, frame.reset, 0, id, number32(8))
          streams.delete(id)
          open.finish('reset')
        },
      }
      if (!isOpen) {
        open.finish('lost')
        return stream
      }
      streams.set(id, open)
      writeFrame(socket, frame.headers, endHeaders, id, Buffer.concat(Object.entries(all).map(literal)))
      return stream
    },
  }
}

function writeFrame(socket: Socket, type: number, flags: number, id: number, body: Buffer): void {
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id, 5)
  if (!socket.destroyed) socket.write(Buffer.concat([head, body]))
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), number32(value)])
}

/** A header as HPACK writes it without any art. Neither part may be longer than 126. */
function literal([name, value]: readonly [string, string]): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ])
}

/** Cuts what comes in pieces into heads of a fixed length and the bodies whose lengths they tell. */
function cutter(
  headBytes: number,
  lengthOf: (head: Buffer) => number,
  take: (head: Buffer, body: Buffer) => void,
): (bytes: Buffer) => void {
  let chunks: Buffer[] = []
  let held = 0
  let wanted = headBytes
  return (bytes) => {
    chunks.push(bytes)
    held += bytes.length
    while (held >= wanted) {
      const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
      chunks = [all]
      wanted = headBytes + lengthOf(all)
      if (held < wanted) return
      const [head, body] = [all.subarray(0, headBytes), all.subarray(headBytes, wanted)]
      held -= wanted
      chunks = held === 0 ? [] : [all.subarray(wanted)]
      wanted = headBytes
      take(head, body)
    }
  }
}
