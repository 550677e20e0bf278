import { brokenReference, userOfAssignment } from './invariants.ts'
import { knownGapOf } from './known-gaps.ts'
import type { Meaning } from './meaning.ts'
import type { RequestWords } from './mux.ts'
import type { ClientSpec, Word } from './scenario.ts'
import type { Connection, SimulatedServer } from './server.ts'
import { differences, type Target } from './target.ts'
import type { Transcript } from './transcript.ts'
import { VirtualEnvoy } from './virtual-envoy.ts'
import type { VirtualTime } from './virtual-time.ts'
import { decodeResponse, type Response } from './wire.ts'

export type BreakKind =
  | 'missing-cluster'
  | 'lost-endpoints'
  | 'waited-in-vain'
  | 'misled'
  | 'rejected-again'
  | 'malformed'
  | 'pushed-twice'
  | 'diverged'
  | 'stream-ended'

/** An invariant that did not hold. */
export interface Break {
  readonly kind: BreakKind
  readonly client: string
  readonly atMs: number
  readonly text: string
}

/** A point in time at the server: of those of one instant, how many requests had come tells which was first. */
interface Moment {
  readonly atMs: number
  readonly requests: number
}

/** Rejected content must not come back in this time (rule 30). */
const rejectionWindowMs = 10_000

/** No response is under way for longer. */
const longestWayMs = 10_000

/** How long a client that lost its connection takes to come back. */
const reconnectMs = 1000

/** One virtual Envoy on its own slow, ordered line to the server, and what must always be true of it. */
export class SimulatedClient {
  readonly envoy: VirtualEnvoy
  readonly #spec: ClientSpec
  readonly #time: VirtualTime
  readonly #server: SimulatedServer
  readonly #onBreak: (found: Break) => void
  readonly #transcript: Transcript | undefined
  /** What it refused and named, with when the server heard of it; undefined until then. */
  readonly #rejected = new Map<Meaning, Moment | undefined>()
  /** When the response that it works on left the server. */
  #sent: Moment = { atMs: 0, requests: 0 }
  /** Requests that reached the server. */
  #requests = 0
  #nonces = new Map<Word, number>()
  #connection: Connection | undefined
  /** Counts connections: what is on its way on an old one is lost. */
  #era = 0
  #socketFreeAtMs = 0
  #arrivesAtMs = 0
  #leavesAtMs = 0
  /** What it was to have since it last had it all, or lately; the last one is the present. */
  #targets: { readonly target: Target; readonly sinceMs: number }[] = []
  responses = 0

  constructor(
    spec: ClientSpec,
    deps: {
      readonly time: VirtualTime
      readonly server: SimulatedServer
      readonly onBreak: (found: Break) => void
      readonly transcript: Transcript | undefined
    },
  ) {
    this.#spec = spec
    this.#time = deps.time
    this.#server = deps.server
    this.#onBreak = deps.onBreak
    this.#transcript = deps.transcript
    this.envoy = new VirtualEnvoy(spec, deps.time, {
      receives: (word, resources, response) => this.#checkResponse(word, resources, response),
      changed: () => this.#check(),
      refused: (word, resources, message) => this.#noteRefusal(word, resources, message),
      waitedInVain: (what) => {
        if (spec.rejects.length === 0) this.#break('waited-in-vain', `15 s passed waiting: ${what}`)
      },
      misled: (message) => this.#break('misled', message),
    })
    deps.time.after(spec.connectAtMs, () => this.#connect())
    for (const atMs of spec.reconnectsAtMs) deps.time.after(atMs, () => this.#lose())
  }

  get name(): string {
    return this.#spec.name
  }

  get group(): number {
    return this.#spec.group
  }

  get isConnected(): boolean {
    return this.#connection !== undefined
  }

  /** The server was given another target for its group. */
  retarget(target: Target): void {
    const [present, sinceMs] = [this.#targets.at(-1), this.#time.now()]
    const isOld = present !== undefined && sinceMs - present.sinceMs > longestWayMs
    if (isOld && differences(this.envoy, present.target).length === 0) this.#targets = [present]
    this.#targets.push({ target, sinceMs })
  }

  /** When everything has come to rest, it must have what it is to have. */
  checkConvergence(): void {
    const target = this.#targets.at(-1)?.target
    if (target === undefined || !this.isConnected) return
    const found = differences(this.envoy, target)
    if (found.length > 0) this.#break('diverged', found.slice(0, 5).join('; '))
  }

  // ---- the line

  #connect(): void {
    const era = ++this.#era
    this.#nonces = new Map()
    this.#transcript?.note('connects')
    const connection = this.#server.connect(this.#spec.protocol, {
      peer: this.#spec.name,
      path: '/simulated',
      write: (bytes, onTaken) => this.#deliver(era, bytes, onTaken),
      end: (_code, details) => {
        if (era === this.#era) this.#break('stream-ended', details)
      },
    })
    this.#connection = connection
    this.#socketFreeAtMs = this.#arrivesAtMs = this.#leavesAtMs = 0
    this.envoy.connect((bytes, inWords) => {
      this.#transcript?.request(inWords())
      this.#send(era, bytes, this.#rejected.size > 0 ? inWords() : undefined)
    })
  }

  #lose(): void {
    const connection = this.#connection
    if (connection === undefined) return
    this.#transcript?.note('loses its connection')
    this.#era++
    this.#connection = undefined
    this.envoy.disconnect()
    connection.cancel('connection lost')
    this.#time.after(reconnectMs, () => this.#connect())
  }

  #deliver(era: number, bytes: Buffer, onTaken: () => void): void {
    if (era !== this.#era) return
    const { latencyMs, socketMs, thinkMs } = this.#spec
    const now = this.#time.now()
    const sent: Moment = { atMs: now, requests: this.#requests }
    this.#socketFreeAtMs = Math.max(now, this.#socketFreeAtMs) + socketMs
    this.#arrivesAtMs = Math.max(this.#socketFreeAtMs + latencyMs, this.#arrivesAtMs) + thinkMs
    this.#time.after(this.#socketFreeAtMs - now, () => {
      if (era === this.#era) onTaken()
    })
    this.#time.after(this.#arrivesAtMs - now, () => {
      if (era !== this.#era) return
      this.responses++
      this.#sent = sent
      this.#transcript?.response(decodeResponse(bytes, this.#spec.protocol === 'delta'))
      this.envoy.receive(bytes)
    })
  }

  #send(era: number, bytes: Buffer, words: RequestWords | undefined): void {
    const now = this.#time.now()
    this.#leavesAtMs = Math.max(now + this.#spec.latencyMs, this.#leavesAtMs)
    this.#time.after(this.#leavesAtMs - now, () => {
      if (era !== this.#era) return
      this.#requests++
      if (words?.error !== undefined) this.#noteHeard(words.word)
      this.#connection?.receive(bytes)
    })
  }

  // ---- invariants

  #check(): void {
    const reference = brokenReference(this.envoy)
    if (reference !== undefined) this.#break('missing-cluster', reference)
  }

  #checkResponse(word: Word, resources: readonly Meaning[], response: Response): void {
    const nonce = Number(response.nonce)
    if (!(nonce > (this.#nonces.get(word) ?? 0))) this.#break('malformed', `nonce ${response.nonce} does not grow`)
    this.#nonces.set(word, nonce)
    const names = new Set([...resources.map(({ name }) => name), ...response.removed])
    if (names.size < resources.length + response.removed.length) this.#break('malformed', 'a name comes twice')
    const wrapped = response.resources.filter(({ value }) => value !== undefined)
    for (const [index, { name }] of wrapped.entries()) {
      const inside = resources[index]?.name
      if (name !== '' && name !== inside) this.#break('malformed', `${name} wraps ${inside}`)
    }
    if (word === 'endpoint') this.#checkEndpoints(resources)
    if (this.#rejected.size === 0) return
    for (const meaning of resources) {
      const heard = this.#rejected.get(meaning)
      if (heard === undefined || this.#sent.requests < heard.requests) continue
      const sinceMs = this.#sent.atMs - heard.atMs
      if (sinceMs > rejectionWindowMs) continue
      this.#break('rejected-again', `${word} ${meaning.name}, ${sinceMs} ms after the server heard of it`)
    }
  }

  /** Endpoints may go only where some snapshot that it is on the way to says so. */
  #checkEndpoints(resources: readonly Meaning[]): void {
    for (const { name, isEmpty } of resources) {
      if (!isEmpty || this.#targets.some(({ target }) => target.emptyAssignments.has(name))) continue
      const user = userOfAssignment(this.envoy, name)
      if (user !== undefined) this.#break('lost-endpoints', `cluster ${user} loses the endpoints that it should have`)
    }
  }

  #noteRefusal(word: Word, resources: readonly Meaning[], message: string): void {
    this.#transcript?.note(`rejects ${word}: ${message.trim()}`)
    for (const meaning of resources) this.#rejected.set(meaning, undefined)
  }

  #noteHeard(word: Word): void {
    const now: Moment = { atMs: this.#time.now(), requests: this.#requests }
    for (const [meaning, heard] of this.#rejected) {
      if (meaning.word === word && heard === undefined) this.#rejected.set(meaning, now)
    }
  }

  /** The server says that it sent a push while an earlier one of its type had no verdict. */
  notePushedTwice(what: string): void {
    this.#break('pushed-twice', what)
  }

  #break(kind: BreakKind, text: string): void {
    const found: Break = { kind, client: this.#spec.name, atMs: this.#time.now(), text }
    if (knownGapOf(found, this.#spec) !== undefined) return
    this.#transcript?.note(`BREAK ${kind}: ${text}`)
    this.#onBreak(found)
  }
}
