/**
 * Transcripts: what a client says and what the server must answer, played over real gRPC against the real server and
 * cache. One reads like the conversation that it is:
 *
 *     transcript(
 *       'rule 26: a name newly asked for is answered though the version is the same',
 *       'sotw',
 *       given(resource('cluster', 'a'), resource('cluster', 'b')),
 *       client({ type: 'cluster', names: ['a'] }),
 *       server({ type: 'cluster', resources: ['a'] }),
 *       client(ack({ names: ['a', 'b'] })),
 *       server({ type: 'cluster', resources: ['a', 'b'], version: 'same' }),
 *       client(ack()),
 *       server.silent(),
 *     )
 *
 * Of every response these hold without being written: its nonce is new and greater than the last of its type, its version is not
 * empty, no name comes twice, every resource is of the response's type (rules 11, 33, 35, 36). When a transcript is
 * over, nothing more must have come than it says.
 */
import { pino } from 'pino'
import { expect } from 'vitest'
import type { SnapshotCache } from '../../src/cache/cache.ts'
import { createSnapshotCache } from '../../src/cache/snapshot-cache.ts'
import { type NodeSelector, selectorKey } from '../../src/resource/node-selector.ts'
import type { Resource } from '../../src/resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../../src/resource/type-url.ts'
import type { Unit, Withheld } from '../../src/snapshot/world.ts'
import { createXdsServer, type XdsServer, type XdsServerOptions } from '../../src/xds/server.ts'
import type { StreamEvent } from '../../src/xds/stream-event.ts'
import { atTestEnd } from './at-test-end.ts'
import { eventually } from './poll.ts'
import { envoyApi } from './resource.ts'
import { testBeside } from './side-by-side.ts'
import {
  openStream,
  type Protocol,
  type ServiceWord,
  typeUrlOf,
  type WireNode,
  type WireRequest,
  type WireResource,
  type WireResponse,
  type WireStream,
  wordOf,
} from './wire-client.ts'

export interface Setting {
  readonly protocol: Protocol
  /** `ads` by default. */
  readonly service?: ServiceWord
  /** Of every client that does not say another; `envoy-1` in the cluster `edge` by default. */
  readonly node?: WireNode
  readonly server?: Partial<XdsServerOptions>
  /** The server's sources may know more than it does: it learns that what it has is the newest when a step says so (`World.questions`). */
  readonly mayLag?: true
}

/** One line of a transcript. */
export interface Step {
  readonly line: string
  readonly play: (world: World) => Promise<void> | void
}

/** Registers a test that plays these steps. */
export function transcript(
  title: string,
  setting: Protocol | Setting,
  ...steps: readonly (Step | readonly Step[])[]
): void {
  testBeside(title, () => playTranscript(setting, ...steps))
}

/** The test itself: rejects at the first step that does not go as written, with the transcript up to there. */
export async function playTranscript(
  setting: Protocol | Setting,
  ...steps: readonly (Step | readonly Step[])[]
): Promise<void> {
  const world = await startWorld(typeof setting === 'string' ? { protocol: setting } : setting)
  const played: string[] = []
  for (const { line, play } of [...steps.flat(), nothingMore]) {
    try {
      await play(world)
      played.push(`  ok  ${line}`)
    } catch (error) {
      const said = world.log.length === 0 ? '' : `\nthe server's warnings:\n${world.log.join('')}`
      const message = error instanceof Error ? error.message : String(error)
      throw new Error(`${[...played, `NOT   ${line}`].join('\n')}\n\n${message}${said}`, { cause: error })
    }
  }
}

/** What a step works on. */
export interface World {
  readonly setting: Setting
  readonly cache: SnapshotCache
  readonly server: XdsServer
  /** What the server told of its streams, in order. */
  readonly events: readonly StreamEvent[]
  /** The server's warnings and errors, JSON lines. */
  readonly log: readonly string[]
  /** Makes it when it is first asked for. */
  client(name: string): ClientSide
  clients(): Iterable<readonly [string, ClientSide]>
  /** Resources that are in force by their key; `apply` steps keep it. */
  readonly units: Map<string, Unit>
  withheld: readonly Withheld[]
  /** What the server asked and has no answer to, the oldest first: each is answered by a call. */
  readonly questions: (() => void)[]
}

async function startWorld(setting: Setting): Promise<World> {
  const cache = createSnapshotCache()
  const events: StreamEvent[] = []
  const log: string[] = []
  const questions: World['questions'] = []
  const caughtUp = (): Promise<void> => new Promise((resolve) => questions.push(resolve))
  const server = await createXdsServer(
    {
      ...(setting.mayLag && { caughtUp }),
      cache,
      api: envoyApi,
      log: pino({ level: 'warn' }, { write: (line: string) => void log.push(line) }),
      onEvent: (event) => events.push(event),
    },
    // Loopback counts as secure, as it does for `serve`.
    { listen: '127.0.0.1:0', isSecure: true, ...setting.server },
  )
  atTestEnd(() => server.close())
  const clients = new Map<string, ClientSide>()
  return {
    setting,
    cache,
    server,
    events,
    log,
    units: new Map(),
    withheld: [],
    questions,
    clients: () => clients,
    client(name) {
      const known = clients.get(name)
      if (known !== undefined) return known
      const made = new ClientSide(server.port, setting)
      clients.set(name, made)
      return made
    },
  }
}

/** What the client of a stream knows: for requests that depend on what came before. */
export interface Memory {
  /** The newest response (of that type) that a `server` line took. @throws Error when there is none */
  last(type?: string): WireResponse
  /** All that were taken, of all its streams, oldest first. */
  all(type?: string): readonly WireResponse[]
  /** The newest that it accepted on the present stream or an earlier one. */
  accepted(type: string): WireResponse | undefined
  /** The names of its last request of that type on this stream. */
  names(type: string): readonly string[]
  /** Delta: name to version of all that it accepted and that was not removed. */
  versions(type: string): Readonly<Record<string, string>>
}

/** What a client says. Only what is given is sent, but for the node, which goes with a stream's first request. */
export interface Says {
  /** A short word (`cluster`), or a type URL; absent on a stream of one type's own service. */
  readonly type?: ResourceWord | (string & {})
  /** SotW: `resource_names`. */
  readonly names?: readonly string[]
  readonly subscribe?: readonly string[]
  readonly unsubscribe?: readonly string[]
  /** Delta: `initial_resource_versions`. */
  readonly initialVersions?: Readonly<Record<string, string>>
  /** SotW: `version_info`. */
  readonly version?: string
  readonly nonce?: string
  /** `error_detail.message`. */
  readonly error?: string
  /** Instead of the setting's node; null: none, though it is a stream's first request. */
  readonly node?: WireNode | null
}

type SaysOrAsks = Says | ((memory: Memory, protocol: Protocol) => Says)

/** Those of one stream. */
class Nonces {
  readonly all = new Set<string>()
  readonly lastOf = new Map<string, number>()
}

/** A client of the transcript, over all the streams that it opens one after the other. */
export class ClientSide implements Memory {
  readonly #port: number
  readonly #setting: Setting
  readonly #taken: WireResponse[] = []
  readonly #accepted = new Map<string, WireResponse>()
  readonly #held = new Map<string, Map<string, string>>()
  #names = new Map<string, readonly string[]>()
  #stream: WireStream | undefined
  #isFresh = true
  #nonces = new Nonces()

  constructor(port: number, setting: Setting) {
    this.#port = port
    this.#setting = setting
  }

  /** The stream that is open; opens one if there is none. */
  get stream(): WireStream {
    if (this.#stream === undefined) {
      const { protocol, service } = this.#setting
      this.#stream = openStream({ port: this.#port, protocol, ...(service !== undefined && { service }) })
      this.#isFresh = true
      this.#nonces = new Nonces()
      this.#names = new Map()
    }
    return this.#stream
  }

  get isOpen(): boolean {
    return this.#stream !== undefined
  }

  /** True once a response of the present stream was taken: its node is served. */
  get isServed(): boolean {
    return this.#nonces.all.size > 0
  }

  say(given: SaysOrAsks): void {
    const { stream } = this
    const says = typeof given === 'function' ? given(this, this.#setting.protocol) : given
    const node = says.node === undefined && this.#isFresh ? (this.#setting.node ?? defaultNode) : says.node
    const typeUrl = says.type === undefined ? undefined : typeUrlOf(says.type)
    this.#isFresh = false
    if (says.names !== undefined) this.#names.set(typeUrl ?? '', says.names)
    if (typeUrl !== undefined && says.nonce !== undefined && says.error === undefined) this.#accept(typeUrl, says.nonce)
    const request: WireRequest = {
      ...(node && { node }),
      ...(typeUrl !== undefined && { type_url: typeUrl }),
      ...(says.names && { resource_names: says.names }),
      ...(says.subscribe && { resource_names_subscribe: says.subscribe }),
      ...(says.unsubscribe && { resource_names_unsubscribe: says.unsubscribe }),
      ...(says.initialVersions && { initial_resource_versions: says.initialVersions }),
      ...(says.version !== undefined && { version_info: says.version }),
      ...(says.nonce !== undefined && { response_nonce: says.nonce }),
      ...(says.error !== undefined && { error_detail: { code: 3, message: says.error } }),
    }
    stream.send(request)
  }

  /** Takes the next response, which must keep what all responses keep. */
  async take(): Promise<WireResponse> {
    const response = await this.stream.next()
    this.#taken.push(response)
    checkAlways(response, this.#setting.protocol, this.#nonces)
    this.#nonces.all.add(response.nonce)
    this.#nonces.lastOf.set(response.typeUrl, Number(response.nonce))
    return response
  }

  /** Forgets the stream, so that the next line opens another. */
  leave(): void {
    this.#stream = undefined
    this.#nonces = new Nonces()
  }

  last(type?: string): WireResponse {
    const found = this.all(type).at(-1)
    if (found === undefined) throw new Error(`no response${type === undefined ? '' : ` of ${type}`} was taken yet`)
    return found
  }

  all(type?: string): readonly WireResponse[] {
    return type === undefined ? this.#taken : this.#taken.filter(({ typeUrl }) => typeUrl === typeUrlOf(type))
  }

  accepted(type: string): WireResponse | undefined {
    return this.#accepted.get(typeUrlOf(type))
  }

  names(type: string): readonly string[] {
    return this.#names.get(typeUrlOf(type)) ?? this.#names.get('') ?? []
  }

  versions(type: string): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#held.get(typeUrlOf(type)) ?? [])
  }

  #accept(typeUrl: string, nonce: string): void {
    const response = this.#taken.findLast((taken) => taken.typeUrl === typeUrl && taken.nonce === nonce)
    if (response === undefined) return
    this.#accepted.set(typeUrl, response)
    const held = this.#held.get(typeUrl) ?? new Map<string, string>()
    this.#held.set(typeUrl, held)
    for (const { name, version } of response.resources) held.set(name, version)
    for (const name of response.removed) held.delete(name)
  }
}

const defaultNode: WireNode = { id: 'envoy-1', cluster: 'edge' }

/** What holds of every response, whatever the transcript. */
function checkAlways(response: WireResponse, protocol: Protocol, nonces: Nonces): void {
  const { typeUrl, nonce, version, resources, removed } = response
  expect(nonce, 'rule 11: a nonce is never empty').not.toBe('')
  expect(nonces.all.has(nonce), `rule 11: nonce ${nonce} came before`).toBe(false)
  // A body is shared by streams in whatever order they ask for types, so nonces grow within a type alone.
  const last = nonces.lastOf.get(typeUrl) ?? 0
  expect(Number(nonce), 'rule 11: nonces of a type strictly increase').toBeGreaterThan(last)
  if (protocol === 'sotw') expect(version, 'rule 33: a version is never empty').not.toBe('')
  const names = [...resources.map(({ name }) => name), ...removed]
  expect(new Set(names).size, `rule 35: no name comes twice: ${names.join(' ')}`).toBe(names.length)
  for (const resource of resources) {
    const { name, bytes } = resource
    // What does not exist has no version either (rule 50).
    if (bytes === undefined) continue
    expect(resource.typeUrl, `rule 36: the type of ${name}`).toBe(typeUrl)
    if (protocol === 'delta') expect(resource.version, `the version of ${name}`).not.toBe('')
  }
}

// ---- what is in force

export type Change = Resource | ChangeOfWorld

interface ChangeOfWorld {
  readonly line: string
  readonly make: (world: World) => { readonly upserted?: readonly Unit[]; readonly removed?: readonly string[] }
}

/** What is in force when the transcript begins. Without any, the server has read its sources and they are empty. */
export function given(...changes: readonly Change[]): Step {
  return { line: `given ${linesOf(changes)}`, play: (world) => applyAll(world, changes) }
}

/** A change of what is in force: resources are added or replaced by name, all in one step. */
export function apply(...changes: readonly Change[]): Step {
  return { line: `apply ${linesOf(changes)}`, play: (world) => applyAll(world, changes) }
}

/** Resources for some nodes only. */
export function forNodes(selector: NodeSelector, ...resources: readonly Resource[]): ChangeOfWorld {
  return {
    line: `for ${selectorKey(selector)}: ${linesOf(resources)}`,
    make: () => ({ upserted: resources.map((resource) => unitOf(resource, selector)) }),
  }
}

export function removed(word: ResourceWord, name: string, selector: NodeSelector = {}): ChangeOfWorld {
  const { typeUrl } = resourceTypes[word]
  return {
    line: `${word} ${name} removed`,
    make: (world) => {
      const key = unitKey(typeUrl, name, selector)
      if (!world.units.has(key)) throw new Error(`there is no ${word} ${name} to remove`)
      return { removed: [key] }
    },
  }
}

/** From now on the nodes that this selector could match are not answered; none given ends that for all. */
export function withheld(...selectors: readonly NodeSelector[]): ChangeOfWorld {
  return {
    line: selectors.length === 0 ? 'nobody is withheld' : `withheld: ${selectors.map(selectorKey).join(' ')}`,
    make: (world) => {
      world.withheld = selectors.map((selector) => ({
        selectors: [selector],
        problem: {
          severity: 'error',
          code: 'syntax',
          origin: { name: 'broken.yaml' },
          path: '',
          message: 'It does not parse.',
          fix: '',
        },
      }))
      return {}
    },
  }
}

function applyAll(world: World, changes: readonly Change[]): void {
  const made = changes.map((change) => ('make' in change ? change.make(world) : { upserted: [unitOf(change, {})] }))
  const upserted = made.flatMap((change) => change.upserted ?? [])
  const removedKeys = made.flatMap((change) => ('removed' in change ? (change.removed ?? []) : []))
  for (const unit of upserted) world.units.set(unit.key, unit)
  for (const key of removedKeys) world.units.delete(key)
  world.cache.apply({ upserted, removed: removedKeys, withheld: world.withheld })
}

function unitOf(resource: Resource, selector: NodeSelector): Unit {
  return {
    key: unitKey(resource.typeUrl, resource.name, selector),
    origin: resource.origin,
    selectors: [selector],
    resources: [resource],
  }
}

function unitKey(typeUrl: string, name: string, selector: NodeSelector): string {
  return `${selectorKey(selector)} ${typeUrl} ${name}`
}

function linesOf(changes: readonly Change[]): string {
  const texts = changes.map((change) => ('make' in change ? change.line : `${wordOf(change.typeUrl)} ${change.name}`))
  return texts.join(', ') || 'nothing'
}

// ---- what the client says

export interface ClientSteps {
  (says: SaysOrAsks): Step
  /** Half-closes the stream, and waits until the server has ended it with OK. The next line opens another. */
  leaves(): Step
  /** Resets the stream: what a killed client's does. The next line opens another. */
  resets(): Step
}

/** Accepts the newest response (of `more.type`), with the names of the last request of its type. */
export function ack(more: Says = {}): (memory: Memory, protocol: Protocol) => Says {
  return (memory, protocol) => {
    const { typeUrl, nonce, version } = memory.last(more.type)
    const names = memory.names(typeUrl)
    return { type: typeUrl, nonce, ...(protocol === 'sotw' && { version, names }), ...more }
  }
}

/** Rejects it as Envoy does: with the version that it accepted last. */
export function nack(message: string, more: Says = {}): (memory: Memory, protocol: Protocol) => Says {
  return (memory, protocol) => {
    const { typeUrl, nonce } = memory.last(more.type)
    const version = memory.accepted(typeUrl)?.version ?? ''
    const names = memory.names(typeUrl)
    return { type: typeUrl, nonce, error: message, ...(protocol === 'sotw' && { version, names }), ...more }
  }
}

// ---- what the server says

/** By its name only; or a resource whose bytes must have come; or a wrapper without a body. */
export type Expected = string | Resource | { readonly name: string; readonly body: false }

export interface Answers {
  readonly type: ResourceWord | (string & {})
  /** All of them, in any order; none by default. */
  readonly resources?: readonly Expected[]
  /** May be among the resources too: the rules allow both. */
  readonly orAlso?: readonly string[]
  /** Delta; none by default. */
  readonly removed?: readonly string[]
  /** Compared with the response of this type that came before, on this stream or another of this client. */
  readonly version?: 'same' | 'new'
  /** Whatever else must hold. */
  readonly where?: (response: WireResponse, memory: Memory) => void
}

export interface ServerSteps {
  (answers: Answers): Step
  /** It has nothing (more) to say to what was said and applied so far. Only on ADS, and to a node that is served. */
  silent(): Step
  /** The same for a stream of a type's own service, or a node that is not served: the client leaves, and learns nothing more. */
  silentToTheEnd(): Step
  /** It ends the stream with that gRPC status and nothing before. */
  ends(code: string, details?: RegExp): Step
  /** It writes a warning to its log, of this stream or not. */
  warns(pattern: RegExp): Step
}

export interface StreamSteps {
  readonly client: ClientSteps
  readonly server: ServerSteps
}

/** Another client of the same server: `const second = stream('second', { id: 'envoy-2', cluster: 'edge' })`. */
export function stream(name: string, node?: WireNode): StreamSteps {
  const say = (given: SaysOrAsks): Step => ({
    line: `${name} → ${typeof given === 'function' ? given.name || '(as it stands)' : JSON.stringify(given)}`,
    play: (world) => {
      const side = world.client(name)
      const isFirst = !side.isOpen
      if (node === undefined || !isFirst) return side.say(given)
      side.say((memory, protocol) => ({ node, ...(typeof given === 'function' ? given(memory, protocol) : given) }))
    },
  })
  const expectAnswer = (answers: Answers): Step => ({
    line: `${name} ← ${lineOfAnswers(answers)}`,
    play: async (world) => {
      const side = world.client(name)
      const before = side.all(answers.type).at(-1)
      checkAnswer(await side.take(), answers, before)
      answers.where?.(side.last(), side)
    },
  })
  return {
    client: Object.assign(say, {
      leaves: (): Step => ({
        line: `${name} leaves`,
        play: async (world) => {
          await leave(world.client(name))
        },
      }),
      resets: (): Step => ({
        line: `${name} resets its stream`,
        play: async (world) => {
          const side = world.client(name)
          const closed = (): number => world.events.filter(({ kind }) => kind === 'close').length
          const before = closed()
          side.stream.cancel()
          await side.stream.closed
          // What is applied next must not be sent to the dead.
          await eventually(() => closed() > before)
          side.leave()
        },
      }),
    }),
    server: Object.assign(expectAnswer, {
      silent: (): Step => ({
        line: `${name} ← silence`,
        play: async (world) => {
          const side = world.client(name)
          await side.stream.probe()
          expect(side.stream.pending().map(lineOfResponse), 'the server said more').toEqual([])
        },
      }),
      silentToTheEnd: (): Step => ({
        line: `${name} ← silence, to the end of the stream`,
        play: async (world) => {
          const { stream } = world.client(name)
          await leave(world.client(name))
          expect(stream.pending().map(lineOfResponse), 'the server said more').toEqual([])
        },
      }),
      ends: (code: string, details?: RegExp): Step => ({
        line: `${name} ← ${code}`,
        play: async (world) => {
          const side = world.client(name)
          const { stream } = side
          const said = await stream.next().then(lineOfResponse, (error: Error) => {
            if (!error.message.includes('the stream ended')) throw error
            return 'the end'
          })
          expect(said).toBe('the end')
          const end = await stream.closed
          expect(end.code, end.details).toBe(code)
          if (details) expect(end.details).toMatch(details)
          side.leave()
        },
      }),
      warns: (pattern: RegExp): Step => ({
        line: `the server warns of ${String(pattern)}`,
        play: async (world) => {
          await eventually(() => world.log.some((line) => pattern.test(line)))
        },
      }),
    }),
  }
}

const only = stream('client')
/** The lines of a transcript's one client. */
export const client: ClientSteps = only.client
export const server: ServerSteps = only.server

/** Anything else: a look at the server's status, a wait for an event. */
export function step(line: string, play: (world: World) => Promise<void> | void): Step {
  return { line, play }
}

/** Takes a response and accepts it: the two most frequent lines in one. */
export function accepted(answers: Answers): readonly Step[] {
  return [server(answers), client(ack())]
}

async function leave(side: ClientSide): Promise<void> {
  const { stream } = side
  stream.end()
  const end = await stream.closed
  expect(end.code, end.details).toBe('OK')
  side.leave()
}

/** The last step of every transcript. */
const nothingMore: Step = {
  line: 'nothing more',
  play: async (world) => {
    for (const [name, side] of world.clients()) {
      if (!side.isOpen) continue
      const isProbed = side.isServed && (world.setting.service ?? 'ads') === 'ads'
      if (isProbed) await side.stream.probe()
      expect(side.stream.pending().map(lineOfResponse), `what ${name} was told more`).toEqual([])
    }
  },
}

function checkAnswer(response: WireResponse, answers: Answers, before: WireResponse | undefined): void {
  const { orAlso = [] } = answers
  const counted = response.resources.filter(({ name }) => !orAlso.includes(name))
  expect(lineOfResponse({ ...response, resources: counted })).toBe(lineOfAnswers(answers))
  for (const expected of answers.resources ?? []) {
    if (typeof expected === 'string') continue
    const came = response.resources.find(({ name }) => name === expected.name) as WireResource
    if ('body' in expected) expect(came.bytes, `${expected.name} has no body`).toBeUndefined()
    else
      expect(came.bytes && Buffer.from(came.bytes).equals(expected.bytes), `the bytes of ${expected.name}`).toBe(true)
  }
  if (answers.version === undefined) return
  if (before === undefined) throw new Error('there is no earlier response to compare the version with')
  if (answers.version === 'same') expect(response.version).toBe(before.version)
  else expect(response.version).not.toBe(before.version)
}

/** `cluster [a b] removed [c]`, names sorted: both sides are compared as this text. */
function lineOfAnswers({ type, resources = [], removed: gone = [] }: Answers): string {
  const names = resources.map((expected) => (typeof expected === 'string' ? expected : expected.name))
  return lineOf(wordOf(typeUrlOf(type)), names, gone)
}

function lineOfResponse({ typeUrl, resources, removed: gone }: WireResponse): string {
  return lineOf(
    wordOf(typeUrl),
    resources.map(({ name }) => name),
    gone,
  )
}

function lineOf(word: string, names: readonly string[], gone: readonly string[]): string {
  const list = (items: readonly string[]): string => `[${[...items].sort().join(' ')}]`
  return `${word} ${list(names)}${gone.length === 0 ? '' : ` removed ${list(gone)}`}`
}
