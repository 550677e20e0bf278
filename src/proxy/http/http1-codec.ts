import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { DownstreamConnection } from '../network/network-filter.ts'
import type { Codec, CodecClient, CodecConnection } from './codec.ts'
import type { Http1CodecOptions } from './codec-options.ts'
import { Http1Connection, type ParserError } from './http1-connection.ts'

/**
 * HTTP/1 by Node's server, which never listens itself: it is given connections. Its own timeouts are off, for Envoy's
 * are the connection manager's to keep.
 */
export class Http1Codec implements Codec {
  readonly #server: Server
  readonly #options: Http1CodecOptions
  readonly #connections = new WeakMap<Duplex, Http1Connection>()

  constructor(options: Http1CodecOptions) {
    this.#options = options
    this.#server = createServer({
      maxHeaderSize: options.maxHeadersBytes,
      insecureHTTPParser: false,
      requireHostHeader: false,
      keepAliveTimeout: 0,
      headersTimeout: 0,
      requestTimeout: 0,
      connectionsCheckingInterval: 2 ** 31 - 1,
    })
    const server = this.#server
    // The connection manager counts them.
    server.maxHeadersCount = 0
    const take = (request: IncomingMessage, response: ServerResponse): void => {
      this.#connections.get(request.socket)?.onRequest(request, response)
    }
    server.on('request', take)
    server.on('checkContinue', take)
    server.on('checkExpectation', take)
    server.on('upgrade', (request, socket, head) => {
      this.#connections.get(socket)?.onUpgrade(request, socket, head)
    })
    server.on('connect', (request, socket, head) => {
      this.#connections.get(socket)?.onUpgrade(request, socket, head)
    })
    server.on('clientError', (error: ParserError, socket) => {
      const connection = this.#connections.get(socket)
      if (connection === undefined) socket.destroy()
      else connection.onError(error)
    })
  }

  accept(connection: DownstreamConnection, client: CodecClient): CodecConnection {
    const { stream } = connection
    const accepted = new Http1Connection(stream, client, this.#options)
    this.#connections.set(stream, accepted)
    this.#server.emit('connection', stream)
    // The first bytes may hold so much of a body that Node has paused by the time it is told of this, and reads on.
    stream.once('resume', () => {
      if (stream.isPaused()) stream.emit('pause')
    })
    stream.resume()
    return accepted
  }

  close(): void {
    this.#server.close()
  }
}
