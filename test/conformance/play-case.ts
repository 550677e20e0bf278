/** Plays one case against a server, turn by turn. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Case, Expected, ExpectedByType, ExpectedOfType, Turn, World } from './case.ts'
import { kinds, type ResourceSpec, resourceJson } from './kinds.ts'
import type { Observations } from './observations.ts'
import { type NodeName, VirtualClient } from './virtual-client.ts'
import type { Received, Response, Wire } from './wire.ts'
import type { WorldDirectory } from './world-directory.ts'

export interface Playing {
  readonly address: string
  readonly wire: Wire
  readonly worlds: WorldDirectory
  readonly observations: Observations
  /** How long what must come is waited for. */
  readonly patienceMs: number
  /** How long it must be quiet where a server is to be silent. */
  readonly settleMs: number
}

export interface Failure {
  readonly file: string
  readonly line: number
  /** The turn that did not go as written. */
  readonly turn: string
  readonly reason: string
  /** The server has no such service, or not in this protocol: that is no fault of its. */
  readonly isUnsupported: boolean
}

/** Undefined when all went as written. */
export async function playCase(one: Case, prefix: string, playing: Playing): Promise<Failure | undefined> {
  const stage = new Stage(one, prefix, playing)
  let at: Turn | undefined
  try {
    for (const turn of one.turns) {
      at = turn
      await stage.play(turn)
    }
    stage.checkOpen()
    return undefined
  } catch (error) {
    const { file, line } = at?.place ?? one.place
    const reason = error instanceof Error ? error.message : String(error)
    return { file, line, turn: at?.text ?? '', reason, isUnsupported: stage.isUnsupported }
  } finally {
    stage.close()
  }
}

class Stage {
  readonly #one: Case
  readonly #prefix: string
  readonly #playing: Playing
  readonly #clients = new Map<string, VirtualClient>()
  readonly #groups = new Set<string>()
  /** The newest that was given of a type and name, in any group: so that a word tells the kind. */
  readonly #lastSpecs = new Map<string, ResourceSpec>()
  #world: World = {}

  constructor(one: Case, prefix: string, playing: Playing) {
    this.#one = one
    this.#prefix = prefix
    this.#playing = playing
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
    this.#playing.worlds.remove(this.#prefix, this.#groups)
  }

  get isUnsupported(): boolean {
    return [...this.#clients.values()].some(({ ending }) => ending?.code === 'UNIMPLEMENTED')
  }

  /** A server ends no stream of its own accord. */
  checkOpen(): void {
    for (const client of this.#clients.values()) throwIfEnded(client)
  }

  async play(turn: Turn): Promise<void> {
    if (turn.kind === 'given') return this.#give(turn.world)
    const client = this.#client(turn.client)
    switch (turn.kind) {
      case 'subscribe':
        return client.subscribe(turn.names)
      case 'unsubscribe':
        return client.unsubscribe(turn.names)
      case 'resume':
        return client.resume(turn.names)
      case 'say':
        return client.say(turn.says)
      case 'accept':
        return client.answer(turn.type, { kind: 'accept' })
      case 'reject':
        return client.answer(turn.type, { kind: 'reject', message: turn.message })
      case 'reconnect':
        return client.reconnect()
      case 'leave':
        return client.leave(this.#playing.patienceMs)
      case 'take':
        return this.#takeWhatComes(client)
      case 'send':
        return this.#expectSent(client, turn)
      case 'have':
        return this.#expectHeld(client, turn)
      case 'silent':
        return this.#expectSilence(client, turn.types)
      case 'end':
        return this.#expectEnd(client, turn.codes)
    }
  }

  async #give(world: World): Promise<void> {
    // A group that is not spoken of any more has nothing.
    const emptied = [...this.#groups].filter((group) => world[group] === undefined)
    const whole = { ...Object.fromEntries(emptied.map((group) => [group, []])), ...world }
    for (const [group, specs] of Object.entries(whole)) {
      this.#groups.add(group)
      for (const spec of specs) this.#lastSpecs.set(keyOf(spec), spec)
    }
    this.#world = whole
    await this.#playing.worlds.set(this.#prefix, whole)
  }

  #client(name: string): VirtualClient {
    const known = this.#clients.get(name)
    if (known !== undefined) return known
    const { address, wire, observations } = this.#playing
    const { protocol, service, clients, place } = this.#one
    const spec = clients[name] as Case['clients'][string]
    const nodeOf = (other: string): NodeName => {
      const { group, twinOf } = clients[other] as Case['clients'][string]
      return { id: `${this.#prefix}-${twinOf ?? other}`, cluster: `${this.#prefix}-${group}` }
    }
    const made = new VirtualClient({
      address,
      wire,
      spec,
      protocol,
      service,
      node: nodeOf(name),
      nodeOf,
      onResponse: (response, before) =>
        observations.watch(response, protocol, before, `${place.file}:${place.line} (${protocol})`),
    })
    this.#clients.set(name, made)
    return made
  }

  async #expectSent(client: VirtualClient, turn: Turn & { readonly kind: 'send' }): Promise<void> {
    const types = Object.keys(turn.expected)
    const sent: Response[] = []
    const tooMuch = (): string | undefined => (turn.isOnly ? this.#beyond(turn.expected, sent) : undefined)
    await this.#until(
      client,
      turn.withinMs,
      () => {
        const untaken = client.untaken()
        const other = turn.isFirst ? untaken.findIndex(({ type }) => !types.includes(type)) : -1
        const inTime = other < 0 ? untaken : untaken.slice(0, other)
        sent.push(...client.take(types, turn.reply).filter((response) => inTime.includes(response)))
        const surplus = tooMuch()
        if (surplus !== undefined) throw new Error(surplus)
        const isComplete = types.every(
          (type) => this.#lacking(turn.expected[type] as ExpectedOfType, ofType(sent, type), turn) === '',
        )
        if (other >= 0 && !isComplete) throw new Error(`first came ${untaken[other]?.type}; ${cameText(sent)}`)
        return isComplete
      },
      () => {
        const lacking = types.map((type) =>
          this.#lacking(turn.expected[type] as ExpectedOfType, ofType(sent, type), turn),
        )
        return `${lacking.filter((text) => text !== '').join('; ')}; ${cameText(sent)}`
      },
    )
  }

  /** What of this was not said, in words; '' when all was. */
  #lacking(expected: ExpectedOfType, sent: readonly Response[], { client }: { readonly client: string }): string {
    const resources = sent.flatMap((response) => response.resources)
    const removed = new Set(sent.flatMap((response) => response.removed))
    const group = this.#groupOf(client)
    const lacking = [
      ...expected.resources
        .filter((one) => !resources.some((received) => this.#isSame(received, one, group)))
        .map(textOfExpected),
      ...expected.removed.filter((name) => !removed.has(name)).map((name) => `removed ${name}`),
    ]
    // An answer with nothing in it is an answer too.
    if (lacking.length === 0 && sent.length === 0) return 'no response'
    return lacking.length === 0 ? '' : `lacking ${listText(lacking)}`
  }

  /** What came and should not have, in words. */
  #beyond(expected: ExpectedByType, sent: readonly Response[]): string | undefined {
    for (const { type, resources, removed } of sent) {
      const { resources: wanted, removed: gone } = expected[type] as ExpectedOfType
      const surplus = [
        ...resources.filter(({ name }) => !wanted.some(({ spec }) => spec.name === name)).map(({ name }) => name),
        ...removed.filter((name) => !gone.includes(name)).map((name) => `removed ${name}`),
      ]
      if (surplus.length > 0) return `more than that came of ${type}: ${listText(surplus)}`
    }
    return undefined
  }

  async #expectHeld(client: VirtualClient, turn: Turn & { readonly kind: 'have' }): Promise<void> {
    const types = Object.keys(turn.expected)
    const group = this.#groupOf(turn.client)
    const difference = (type: string): string | undefined => {
      const held = client.held(type)
      const { resources } = turn.expected[type] as ExpectedOfType
      const names = [...held.keys()].sort()
      const wanted = resources.map(({ spec }) => spec.name).sort()
      if (names.join(' ') !== wanted.join(' '))
        return `of ${type} the client has ${listText(names)}, not ${listText(wanted)}`
      const other = resources.find((one) => !this.#isSame(held.get(one.spec.name) as Received, one, group))
      return (
        other && `the ${type} ${other.spec.name} that the client has is not ${textOfExpected(other)} as it is given`
      )
    }
    await this.#until(
      client,
      turn.withinMs,
      () => {
        client.take(types, { kind: 'accept' })
        return types.every((type) => difference(type) === undefined)
      },
      () => types.flatMap((type) => difference(type) ?? []).join('; '),
    )
  }

  async #takeWhatComes(client: VirtualClient): Promise<void> {
    const take = (): void => {
      client.take(undefined, { kind: 'accept' })
    }
    const stop = client.watch(take)
    take()
    await sleep(this.#playing.settleMs)
    stop()
  }

  async #expectSilence(client: VirtualClient, types: readonly string[] | undefined): Promise<void> {
    const { settleMs } = this.#playing
    const said = (): readonly Response[] => client.untaken(types)
    await new Promise<void>((resolve) => {
      const stop = client.watch(() => {
        if (said().length > 0 || client.ending !== undefined) done()
      })
      const timer = setTimeout(() => done(), settleMs)
      const done = (): void => {
        stop()
        clearTimeout(timer)
        resolve()
      }
      if (said().length > 0) done()
    })
    throwIfEnded(client)
    if (said().length > 0) throw new Error(`it is not silent: ${cameText(said())}`)
  }

  async #expectEnd(client: VirtualClient, codes: readonly string[]): Promise<void> {
    await this.#until(
      client,
      undefined,
      () => client.ending !== undefined,
      () => 'the stream is open',
      true,
    )
    const code = client.ending?.code ?? ''
    if (!codes.includes(code)) throw new Error(`the stream ended with ${code} ${client.ending?.details ?? ''}`)
    client.reconnect()
  }

  /** @throws Error with what `why` says when the time is over */
  #until(
    client: VirtualClient,
    withinMs: number | undefined,
    isSo: () => boolean,
    why: () => string,
    mayEnd = false,
  ): Promise<void> {
    const patienceMs = withinMs ?? this.#playing.patienceMs
    return new Promise((resolve, reject) => {
      const look = (): void => {
        try {
          if (isSo()) settle(resolve)
          else if (!mayEnd) throwIfEnded(client)
        } catch (error) {
          settle(() => reject(error as Error))
        }
      }
      const settle = (then: () => void): void => {
        stop()
        clearTimeout(timer)
        then()
      }
      const timer = setTimeout(() => {
        settle(() => reject(new Error(`after ${patienceMs} ms: ${why()}`)))
      }, patienceMs)
      const stop = client.watch(look)
      look()
    })
  }

  #groupOf(client: string): string {
    return this.#one.clients[client]?.group ?? 'edge'
  }

  #isSame(received: Received, expected: Expected, group: string): boolean {
    const { aliases, body, isWrapped, ttlMs } = expected
    if (received.name !== expected.spec.name) return false
    if (body !== 'any' && (body === 'none') !== (received.bytes === undefined)) return false
    if (isWrapped !== undefined && received.isWrapped !== isWrapped) return false
    if (ttlMs !== undefined && (received.ttlMs ?? null) !== ttlMs) return false
    const known = [received.name, ...received.aliases]
    if (!aliases.every((alias) => known.includes(alias))) return false
    if (received.bytes === undefined) return true
    return this.#playing.wire.isSame(received.bytes, resourceJson(this.#meant(expected, group)))
  }

  /** By its name alone, a resource is what the world gives; with a revision, that of the kind it was given as. */
  #meant({ spec, isExplicit }: Expected, group: string): ResourceSpec {
    const key = keyOf(spec)
    const present = this.#world[group]?.find((one) => keyOf(one) === key)
    if (!isExplicit) return present ?? this.#lastSpecs.get(key) ?? spec
    const last = present ?? this.#lastSpecs.get(key)
    const isKindMeant = spec.targets.length > 0 || spec.kind === 'emptyEndpoint'
    return last === undefined || isKindMeant ? spec : { ...last, revision: spec.revision }
  }
}

function keyOf({ kind, name }: ResourceSpec): string {
  return `${kinds[kind]?.type ?? ''} ${name}`
}

function ofType(sent: readonly Response[], type: string): readonly Response[] {
  return sent.filter((response) => response.type === type)
}

function throwIfEnded({ ending }: VirtualClient): void {
  if (ending !== undefined) throw new Error(`the server ended the stream: ${ending.code} ${ending.details}`)
}

function cameText(sent: readonly Response[]): string {
  if (sent.length === 0) return 'nothing came'
  const texts = sent.map(({ type, resources, removed }) => {
    return `${type} ${listText([...resources.map(({ name }) => name), ...removed.map((name) => `removed ${name}`)])}`
  })
  return `what came: ${texts.slice(0, 8).join(', ')}${texts.length > 8 ? ', …' : ''}`
}

function textOfExpected({ spec, body }: Expected): string {
  const revision = spec.revision === 1 ? '' : `@${spec.revision}`
  return `${spec.name}${revision}${body === 'none' ? ' without a body' : ''}`
}

function listText(names: readonly string[]): string {
  const shown = names.length > 12 ? [...names.slice(0, 12), `… (${names.length})`] : names
  return `[${shown.join(', ')}]`
}
