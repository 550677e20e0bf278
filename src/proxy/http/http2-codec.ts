import type { DownstreamConnection } from '../network/network-filter.ts'
import type { Codec, CodecClient, CodecConnection } from './codec.ts'
import type { Http2CodecOptions } from './codec-options.ts'
import { Http2Connection } from './http2-connection.ts'

/** HTTP/2 by Node's sessions. */
export class Http2Codec implements Codec {
  readonly #options: Http2CodecOptions

  constructor(options: Http2CodecOptions) {
    this.#options = options
  }

  accept({ stream }: DownstreamConnection, client: CodecClient): CodecConnection {
    return new Http2Connection(stream, client, this.#options)
  }

  close(): void {
    // Sessions are their connections'.
  }
}
