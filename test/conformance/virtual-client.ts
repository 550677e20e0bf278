/**
 * A client that does what the specification asks of one: it keeps what it is sent, by the rules of its protocol, and answers a
 * response when a turn takes it. A case can also put any other word into its mouth.
 */
import type { Case, ClientSpec, NamesByType, Reply, Says } from './case.ts'
import { isFullState, type Json, typeUrlOf } from './kinds.ts'
import type { Ending, Received, Response, StreamListener, Wire, WireStream } from './wire.ts'

export interface ClientSetting {
  readonly address: string
  readonly wire: Wire
  readonly spec: ClientSpec
  readonly protocol: Case['protocol']
  readonly service: string
  readonly node: NodeName
  /** That of another client of the case. */
  readonly nodeOf: (client: string) => NodeName
  readonly onResponse: (response: Response, noncesBefore: ReadonlySet<string>) => void
}

export interface NodeName {
  readonly id: string
  readonly cluster: string
}

/** Of one type, on one stream but for what is held. */
interface TypeState {
  names: readonly string[]
  /** It has named something on this stream: an empty list is no wildcard any more. */
  hasNamed: boolean
  isAsked: boolean
}

export class VirtualClient {
  readonly #setting: ClientSetting
  #stream: WireStream | undefined
  #isFresh = true
  #untaken: Response[] = []
  readonly #taken: Response[] = []
  #unanswered: Response[] = []
  #nonces = new Set<string>()
  readonly #types = new Map<string, TypeState>()
  readonly #held = new Map<string, Map<string, Received>>()
  readonly #acceptedVersions = new Map<string, string>()
  /** Of the present stream. */
  readonly #lastNonces = new Map<string, string>()
  readonly #waiting = new Set<() => void>()
  /** Of the present stream, when the server ended it. */
  ending: Ending | undefined

  constructor(setting: ClientSetting) {
    this.#setting = setting
  }

  get isOpen(): boolean {
    return this.#stream !== undefined
  }

  /** Calls back whenever a response came or the stream ended, until the function returned is called. */
  watch(look: () => void): () => void {
    this.#waiting.add(look)
    return () => this.#waiting.delete(look)
  }

  // ---- what it says

  subscribe(names: NamesByType): void {
    for (const [type, more] of Object.entries(names)) {
      const isFirst = !this.#of(type).isAsked
      this.#setNames(type, [...this.#kept(type), ...more])
      const isSotw = this.#setting.protocol === 'sotw'
      if (isSotw) this.#sendNames(type, isFirst ? {} : this.#position(type))
      else this.#send(type, more.length === 0 ? {} : { resource_names_subscribe: more })
    }
  }

  unsubscribe(names: NamesByType): void {
    for (const [type, fewer] of Object.entries(names)) {
      this.#setNames(
        type,
        this.#of(type).names.filter((name) => !fewer.includes(name)),
        fewer.includes('*'),
      )
      if (this.#setting.protocol === 'sotw') this.#sendNames(type, this.#position(type))
      else this.#send(type, { resource_names_unsubscribe: fewer })
    }
  }

  /** As a client does that comes back: with what it has. */
  resume(names: NamesByType): void {
    for (const [type, wanted] of Object.entries(names)) {
      this.#setNames(type, wanted)
      if (this.#setting.protocol === 'sotw') {
        this.#sendNames(type, { version_info: this.#acceptedVersions.get(type) ?? '' })
      } else {
        const subscribed = wanted.length === 0 ? {} : { resource_names_subscribe: wanted }
        this.#send(type, { ...subscribed, initial_resource_versions: this.#heldVersions(type) })
      }
    }
  }

  say({ type, node, fields }: Says): void {
    const word = type ?? this.#setting.service
    const filled = this.#filled(word, fields) as Json
    const list = (field: string): readonly string[] => (filled[field] as readonly string[] | undefined) ?? []
    if (this.#setting.protocol === 'sotw') this.#setNames(word, list('resource_names'))
    else {
      const more = list('resource_names_subscribe')
      const fewer = list('resource_names_unsubscribe')
      const kept = more.length > 0 ? this.#kept(word) : this.#of(word).names
      const names = [...kept, ...more].filter((name) => !fewer.includes(name))
      this.#setNames(word, names, more.length > 0 || fewer.includes('*'))
    }
    this.#send(type, filled, node)
  }

  /** The responses of this type that were taken and not answered. */
  answer(type: string, reply: Reply): void {
    const mine = this.#unanswered.filter((response) => response.type === type)
    if (mine.length === 0) throw new Error(`no response of ${type} waits for an answer`)
    this.#unanswered = this.#unanswered.filter((response) => response.type !== type)
    for (const response of mine) this.#reply(response, reply)
  }

  /** Resets the stream; the next request opens another. */
  reconnect(): void {
    this.#stream?.cancel()
    this.#forgetStream()
  }

  /** Half-closes, and waits for the server to end the stream. @throws Error when it is not ended with OK in time */
  async leave(patienceMs: number): Promise<void> {
    const stream = this.#stream
    if (stream === undefined) return
    stream.end()
    const timer = new Promise<undefined>((resolve) => setTimeout(resolve, patienceMs, undefined).unref())
    const ending = await Promise.race([stream.closed, timer])
    this.#forgetStream()
    if (ending === undefined) throw new Error(`the server did not end the stream within ${patienceMs} ms`)
    if (ending.code !== 'OK') throw new Error(`the stream ended with ${ending.code} ${ending.details}, not OK`)
  }

  close(): void {
    this.#stream?.cancel()
  }

  // ---- what it was told

  /** Responses that no turn has taken. */
  untaken(types?: readonly string[]): readonly Response[] {
    return this.#untaken.filter(({ type }) => types?.includes(type) ?? true)
  }

  /** Takes the untaken of these types, or of all, and answers each. */
  take(types: readonly string[] | undefined, reply: Reply): readonly Response[] {
    const mine = this.untaken(types)
    this.#untaken = this.#untaken.filter((response) => !mine.includes(response))
    for (const response of mine) {
      this.#taken.push(response)
      this.#lastNonces.set(response.type, response.nonce)
      if (reply.kind !== 'reject') this.#apply(response)
      else if (reply.names !== undefined) this.#apply(response, reply.names)
      if (reply.kind === 'wait') this.#unanswered.push(response)
      else this.#reply(response, reply)
    }
    return mine
  }

  /** What it holds of what it has subscribed to, by name. */
  held(type: string): ReadonlyMap<string, Received> {
    const all = this.#held.get(type) ?? new Map<string, Received>()
    return new Map(
      [...all].filter(([name, { aliases }]) => [name, ...aliases].some((one) => this.#isWanted(type, one))),
    )
  }

  // ----

  #of(type: string): TypeState {
    const known = this.#types.get(type)
    if (known !== undefined) return known
    const made: TypeState = { names: [], hasNamed: false, isAsked: false }
    this.#types.set(type, made)
    return made
  }

  /** What a further subscription adds to: in delta, that includes a wildcard which was never named. */
  #kept(type: string): readonly string[] {
    const { names, hasNamed, isAsked } = this.#of(type)
    return this.#setting.protocol === 'delta' && isAsked && !hasNamed ? ['*'] : names
  }

  #setNames(type: string, names: readonly string[], hasNamed = false): void {
    const state = this.#of(type)
    state.names = [...new Set(names)]
    state.isAsked = true
    state.hasNamed ||= hasNamed || names.length > 0
  }

  #isWanted(type: string, name: string): boolean {
    const { names, hasNamed } = this.#of(type)
    if (names.includes('*') || !hasNamed || names.includes(name)) return true
    // A glob: its members have names of their own.
    return names.some((wanted) => wanted.includes('/*') && name.startsWith(wanted.slice(0, wanted.indexOf('*'))))
  }

  /** Where a SotW client stands on this stream: the newest nonce, the accepted version. */
  #position(type: string): Json {
    const response_nonce = this.#lastNonces.get(type)
    const version_info = this.#acceptedVersions.get(type) ?? ''
    return { version_info, ...(response_nonce !== undefined && { response_nonce }) }
  }

  #sendNames(type: string, more: Json): void {
    this.#send(type, { ...more, resource_names: this.#of(type).names })
  }

  #reply(response: Response, reply: Reply): void {
    const { type, nonce, version } = response
    const isRejected = reply.kind === 'reject'
    // Envoy's words name the type.
    const error = isRejected ? { error_detail: { code: 3, message: reply.message.replace('TYPE', type) } } : {}
    if (!isRejected) this.#acceptedVersions.set(type, version)
    if (this.#setting.protocol === 'delta') this.#send(type, { response_nonce: nonce, ...error })
    else
      this.#sendNames(type, { version_info: this.#acceptedVersions.get(type) ?? '', response_nonce: nonce, ...error })
  }

  #apply({ type, resources, removed }: Response, rejected: readonly string[] = []): void {
    const isWhole = this.#setting.protocol === 'sotw' && isFullState(type)
    const last = this.#held.get(type) ?? new Map<string, Received>()
    const kept = isWhole ? [...last].filter(([name]) => rejected.includes(name)) : [...last]
    const held = new Map<string, Received>(kept)
    this.#held.set(type, held)
    for (const one of resources) {
      if (rejected.includes(one.name)) continue
      const before = held.get(one.name)
      // A heartbeat changes no content.
      held.set(one.name, one.bytes === undefined && before !== undefined ? { ...before, ...withTtl(one) } : one)
    }
    for (const name of removed) held.delete(name)
  }

  #heldVersions(type: string): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.held(type)].map(([name, { version }]) => [name, version]))
  }

  /** With what a case leaves open filled in. */
  #filled(type: string, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => this.#filled(type, one))
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([key, one]) => {
          return [key, one === '<held>' ? this.#heldOr(type, key) : this.#filled(type, one)]
        }),
      )
    }
    const [, which, what] = /^<(first|previous|last|accepted) (nonce|version)>$/.exec(String(value)) ?? []
    if (which === undefined || what === undefined) return value
    if (which === 'accepted') return this.#acceptedVersions.get(type) ?? ''
    const taken = this.#taken.filter((response) => response.type === type)
    const response = which === 'first' ? taken[0] : taken.at(which === 'last' ? -1 : -2)
    if (response === undefined) throw new Error(`there is no ${which} response of ${type}`)
    return response[what as 'nonce' | 'version']
  }

  #heldOr(type: string, key: string): unknown {
    if (key === 'initial_resource_versions') return this.#heldVersions(type)
    return this.#held.get(type)?.get(key)?.version ?? 'unknown'
  }

  #send(type: string | undefined, fields: Json, node?: Says['node']): void {
    const isFirst = this.#stream === undefined || this.#isFresh
    const who = node === undefined ? isFirst && this.#node() : this.#nodeSaid(node)
    const stream = this.#openStream()
    this.#isFresh = false
    stream.send({ ...(who && { node: who }), ...(type !== undefined && { type_url: typeUrlOf(type) }), ...fields })
  }

  #node(): Json {
    const { node, spec } = this.#setting
    return {
      ...node,
      ...(spec.userAgent !== undefined && { user_agent_name: spec.userAgent }),
      ...(spec.features.length > 0 && { client_features: spec.features }),
    }
  }

  #nodeSaid(node: string | Json): Json | undefined {
    if (typeof node !== 'string') return node
    return node === 'none' ? undefined : { ...this.#setting.nodeOf(node) }
  }

  #openStream(): WireStream {
    if (this.#stream !== undefined) return this.#stream
    const { address, protocol, service, spec, wire } = this.#setting
    const limit = spec.limitBytes === undefined ? {} : { limitBytes: spec.limitBytes }
    const listener: StreamListener = {
      onResponse: (response) => {
        if (this.#stream !== stream) return
        this.#setting.onResponse(response, this.#nonces)
        this.#nonces.add(response.nonce)
        this.#untaken.push(response)
        this.#wake()
      },
      onEnd: (ending) => {
        if (this.#stream !== stream) return
        this.ending = ending
        this.#wake()
      },
    }
    const stream = wire.open({ address, protocol, service, ...limit }, listener)
    this.#stream = stream
    return stream
  }

  #forgetStream(): void {
    this.#stream = undefined
    this.#isFresh = true
    this.#untaken = []
    this.#unanswered = []
    this.#nonces = new Set()
    this.#types.clear()
    this.#lastNonces.clear()
    this.ending = undefined
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }
}

function withTtl({ ttlMs }: Received): { ttlMs?: number } {
  return ttlMs === undefined ? {} : { ttlMs }
}
