import type { Transform } from 'node:stream'
import { constants, createBrotliCompress, createGzip } from 'node:zlib'
import type { FieldReader } from '../config/field-reader.ts'
import type { Headers } from '../http/headers.ts'
import type { HttpFilterKind, HttpStream } from '../http/http-filter.ts'

interface CompressorConfig {
  readonly library: Library
  readonly isEnabled: (stream: HttpStream) => boolean
  readonly minLength: number
  readonly contentTypes: readonly string[]
  readonly isOffWithEtag: boolean
  readonly removesAcceptEncoding: boolean
}

interface Library {
  /** Of `accept-encoding` and `content-encoding`. */
  readonly encoding: string
  create(): Transform
}

const defaultTypes = [
  'application/javascript',
  'application/json',
  'application/xhtml+xml',
  'image/svg+xml',
  'text/css',
  'text/html',
  'text/plain',
  'text/xml',
]

const levels: Readonly<Record<string, number>> = { DEFAULT_COMPRESSION: 6, BEST_SPEED: 1, BEST_COMPRESSION: 9 }

function readGzip(fields: FieldReader): Library {
  const names = ['DEFAULT_COMPRESSION', 'BEST_SPEED', 'COMPRESSION_LEVEL_2', 'COMPRESSION_LEVEL_3'] as const
  const more = ['COMPRESSION_LEVEL_4', 'COMPRESSION_LEVEL_5', 'COMPRESSION_LEVEL_6', 'COMPRESSION_LEVEL_7'] as const
  const name = fields.choice('compression_level', [...names, ...more, 'COMPRESSION_LEVEL_8', 'BEST_COMPRESSION'])
  fields.ignore('compression_strategy', 'no client sees by which strategy it was compressed')
  fields.ignore('chunk_size', 'a buffer of the library')
  const options = {
    level: levels[name] ?? Number(name.at(-1)),
    memLevel: fields.number('memory_level') ?? 5,
    windowBits: fields.number('window_bits') ?? 12,
    // Each chunk of the upstream can be read by the client as soon as it came.
    flush: constants.Z_SYNC_FLUSH,
  }
  return { encoding: 'gzip', create: () => createGzip(options) }
}

function readBrotli(fields: FieldReader): Library {
  fields.ignore('chunk_size', 'a buffer of the library')
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: fields.number('quality') ?? 3,
    [constants.BROTLI_PARAM_LGWIN]: fields.number('window_bits') ?? 18,
  }
  const options = { params, flush: constants.BROTLI_OPERATION_FLUSH }
  return { encoding: 'br', create: () => createBrotliCompress(options) }
}

function readCompressor(fields: FieldReader): CompressorConfig {
  const response = fields.message('response_direction_config', (direction) => ({
    ...(direction.message('common_config', readCommon) ?? common),
    isOffWithEtag: direction.flag('disable_on_etag_header'),
    removesAcceptEncoding: direction.flag('remove_accept_encoding_header'),
  }))
  const library = fields.message('compressor_library', (extension) => {
    extension.ignore('name', 'the type says what it is')
    return extension.any('typed_config', {
      'envoy.extensions.compression.gzip.compressor.v3.Gzip': readGzip,
      'envoy.extensions.compression.brotli.compressor.v3.Brotli': readBrotli,
    })
  })
  return {
    ...(response ?? { ...common, isOffWithEtag: false, removesAcceptEncoding: false }),
    library: library ?? { encoding: 'gzip', create: () => createGzip() },
  }
}

type Common = Pick<CompressorConfig, 'isEnabled' | 'minLength' | 'contentTypes'>

const common: Common = { isEnabled: () => true, minLength: 30, contentTypes: defaultTypes }

function readCommon(fields: FieldReader): Common {
  const enabled = fields.message('enabled', (flag) => {
    const key = flag.string('runtime_key')
    const byDefault = flag.has('default_value') ? flag.flag('default_value') : true
    return ({ context }: HttpStream) => context.runtime.flag(key, byDefault)
  })
  const types = fields.strings('content_type')
  return {
    isEnabled: enabled ?? common.isEnabled,
    minLength: fields.number('min_content_length') ?? common.minLength,
    contentTypes: types.length > 0 ? types : defaultTypes,
  }
}

interface PerRoute {
  readonly isOff: boolean
  readonly removesAcceptEncoding: boolean | undefined
}

/** Compresses responses that the client can read so, of the types that shrink. */
export const compressorFilter: HttpFilterKind<CompressorConfig> = {
  type: 'envoy.extensions.filters.http.compressor.v3.Compressor',
  read: readCompressor,
  perRoute: {
    'envoy.extensions.filters.http.compressor.v3.CompressorPerRoute': (fields): PerRoute => ({
      isOff: fields.flag('disabled'),
      removesAcceptEncoding: fields.message('overrides', (overrides) =>
        overrides.message('response_direction_config', (direction) =>
          direction.has('remove_accept_encoding_header') ? direction.flag('remove_accept_encoding_header') : undefined,
        ),
      ),
    }),
  },
  create(config, name) {
    return () => {
      let accepted: string | undefined
      let own: PerRoute | undefined
      return {
        onRequest(stream) {
          own = stream.route()?.perFilter(name).at(-1) as PerRoute | undefined
          accepted = stream.request.joined('accept-encoding')
          const removes = own?.removesAcceptEncoding ?? config.removesAcceptEncoding
          if (removes && own?.isOff !== true && config.isEnabled(stream)) stream.request.remove('accept-encoding')
          return true
        },
        onResponse(stream, response) {
          const { headers, body } = response
          if (own?.isOff === true || !config.isEnabled(stream) || !isCompressible(config, headers)) return
          addVary(headers)
          if (body === undefined || !accepts(accepted, config.library.encoding)) return
          // A strong tag is that of the bytes, which are others now.
          const tag = headers.get('etag')
          if (tag !== undefined && !/^w\//i.test(tag)) headers.remove('etag')
          headers.remove('content-length')
          headers.set('content-encoding', config.library.encoding)
          const compressed = config.library.create()
          body.once('error', (error) => compressed.destroy(error))
          compressed.once('close', () => body.destroy())
          response.body = body.pipe(compressed)
        },
      }
    }
  },
}

function isCompressible({ minLength, contentTypes, isOffWithEtag }: CompressorConfig, headers: Headers): boolean {
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  const length = headers.get('content-length')
  return (
    (length === undefined || Number(length) >= minLength) &&
    // What says no type is taken for one that shrinks, as in Envoy.
    (type === undefined || contentTypes.includes(type)) &&
    !headers.has('content-encoding') &&
    !(isOffWithEtag && headers.has('etag')) &&
    !/(?:^|[\s,])no-transform(?:$|[\s,])/i.test(headers.joined('cache-control') ?? '') &&
    !['101', '204', '206', '304'].includes(headers.get(':status') ?? '')
  )
}

/** Whether the client takes this encoding: by its name, or by `*`, and not with `q=0`. */
function accepts(header: string | undefined, encoding: string): boolean {
  if (header === undefined) return false
  const choices = new Map(header.split(',').map(readChoice))
  return (choices.get(encoding) ?? choices.get('*') ?? 0) > 0
}

function readChoice(text: string): [name: string, quality: number] {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const quality = parameters.find((parameter) => parameter.startsWith('q='))
  return [name, quality === undefined ? 1 : Number(quality.slice(2)) || 0]
}

function addVary(headers: Headers): void {
  const vary = headers.joined('vary')
  if (vary === undefined) headers.set('vary', 'Accept-Encoding')
  else if (!/(?:^|[\s,])(?:accept-encoding|\*)(?:$|[\s,])/i.test(vary)) headers.set('vary', `${vary}, Accept-Encoding`)
}
