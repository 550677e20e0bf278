import type { Log } from '../log.ts'
import { type TypeUrl, wordOf } from '../resource/type-url.ts'
import type { StreamRecord } from './status.ts'
import type { StreamDeps } from './stream-deps.ts'

/** Of a text that a client makes up, when it is said back to it or logged. */
export const maxShownLength = 200

/** Names in one warning. */
const maxNames = 5

/** What one stream warns of. Made when it has something to warn of. */
export class StreamWarnings {
  readonly #deps: Pick<StreamDeps, 'seldom' | 'onEvent' | 'options'>
  readonly #record: StreamRecord
  readonly #log: () => Log
  readonly #said = new Set<string>()

  /** `log`: the stream's own, made when a line is written. */
  constructor(deps: Pick<StreamDeps, 'seldom' | 'onEvent' | 'options'>, record: StreamRecord, log: () => Log) {
    this.#deps = deps
    this.#record = record
    this.#log = log
  }

  /** To all who look on, once a stream. */
  once(typeUrl: TypeUrl | undefined, message: string): void {
    if (this.#said.has(message)) return
    this.#said.add(message)
    const type = typeUrl === undefined ? {} : { type: wordOf(typeUrl).slice(0, maxShownLength) }
    this.seldom({ ...type, warning: message }, 'client warning')
    this.#record.warned(message)
    this.#deps.onEvent?.({ kind: 'warning', streamId: this.#record.streamId, typeUrl, message })
  }

  /** To the log, of what many streams may have to say at once. */
  seldom(fields: object, message: string): void {
    this.#deps.seldom.warn(this.#log, fields, message)
  }

  /** The stream's log, with its warnings seldom. */
  get seldomLog(): Log {
    const warn = (fields: object, message: string): void => this.seldom(fields, message)
    return Object.assign(Object.create(this.#log()) as Log, { warn })
  }

  /** What is not sent, and why. */
  unsendable(typeUrl: TypeUrl, names: readonly string[], isWithheld: boolean): void {
    const { canSendSecrets } = this.#deps.options
    const why = canSendSecrets
      ? 'their sensitive content was not kept and their source was not read yet'
      : 'they are sensitive or not ready and this connection is not encrypted: serve with TLS, or --allow-plaintext-secrets'
    const what = isWithheld
      ? `nothing of type ${wordOf(typeUrl)} is sent, because`
      : `some of type ${wordOf(typeUrl)} are not sent:`
    const some = names.slice(0, maxNames).join(', ')
    this.once(typeUrl, `${what} ${some}${names.length > maxNames ? ', …' : ''}: ${why}`)
  }

  /** Of a full state, when what the client has in place of some that it rejected is not known here. */
  unknown(typeUrl: TypeUrl, names: readonly string[]): void {
    this.once(
      typeUrl,
      `nothing of type ${wordOf(typeUrl)} is sent until ${names.slice(0, maxNames).join(', ')} is mended: what the client has of it in place of what it rejected was not sent by this server, and would be lost`,
    )
  }
}
