import { maxAgeMs } from '../../src/xds/protocol/reply.ts'
import type { StreamEvent } from '../../src/xds/stream-event.ts'
import { type Break, SimulatedClient } from './client.ts'
import { forgetMeanings } from './meaning.ts'
import { forgetResources } from './resources.ts'
import type { Scenario } from './scenario.ts'
import { SimulatedServer, serverOptions } from './server.ts'
import { targetOf } from './target.ts'
import { Transcript } from './transcript.ts'
import { VirtualTime } from './virtual-time.ts'

export interface PlayOptions {
  /** Keep the transcript of this client. */
  readonly transcriptOf?: string
}

export interface Outcome {
  /** The first invariant that did not hold. */
  readonly found: Break | undefined
  /** Clients that were connected, summed over all changes of what they are to have. */
  readonly clientTransitions: number
  readonly responses: number
  readonly transcript: readonly string[]
}

/** What takes longer than all waits, drains and retries together. */
const restMs = 180_000

/** Plays a scenario to its end, or to the first break. The same scenario has the same outcome, always. */
export function play(scenario: Scenario, options: PlayOptions = {}): Outcome {
  forgetResources()
  forgetMeanings()
  const time = new VirtualTime()
  const transcript: string[] = []
  let found: Break | undefined
  const pushes = new PushWatch((name, what) => {
    clients.find((client) => client.name === name)?.notePushedTwice(what)
  })
  const server = new SimulatedServer(time, (event) => pushes.note(event, time.now()))
  const write = (line: string): void => void transcript.push(`${String(time.now()).padStart(7)} ms  ${line}`)
  const clients = scenario.clients.map(
    (spec) =>
      new SimulatedClient(spec, {
        time,
        server,
        onBreak: (broken) => {
          found ??= broken
        },
        transcript: spec.name === options.transcriptOf ? new Transcript(write) : undefined,
      }),
  )
  const watched = scenario.clients.find(({ name }) => name === options.transcriptOf)
  let clientTransitions = 0
  for (const step of scenario.steps) {
    time.after(step.atMs, () => {
      const target = targetOf(step)
      for (const client of clients) {
        if (client.group !== step.group) continue
        client.retarget(target)
        if (client.isConnected) clientTransitions++
      }
      if (watched?.group === step.group) write(`== ${step.resources.map(({ name }) => name).join(' ')}`)
      server.apply(step.group, step.resources)
    })
  }
  const isOver = (): boolean => found !== undefined
  time.runUntil((scenario.steps.at(-1)?.atMs ?? 0) + restMs, isOver)
  if (!isOver()) for (const client of clients) client.checkConvergence()
  const responses = clients.reduce((sum, client) => sum + client.responses, 0)
  return { found, clientTransitions, responses, transcript }
}

/** Sees to it that no push leaves while an earlier one of its type may still be answered in time (rule 80). */
class PushWatch {
  readonly #onBreak: (client: string, what: string) => void
  readonly #peers = new Map<number, string>()
  readonly #unanswered = new Map<string, { readonly nonce: number; readonly atMs: number }>()

  constructor(onBreak: (client: string, what: string) => void) {
    this.#onBreak = onBreak
  }

  note(event: StreamEvent, nowMs: number): void {
    if (event.kind === 'open') this.#peers.set(event.streamId, event.peer)
    if (event.kind !== 'sent' && event.kind !== 'ack' && event.kind !== 'nack') return
    const key = `${event.streamId} ${event.typeUrl}`
    const last = this.#unanswered.get(key)
    const nonce = Number(event.nonce)
    if (event.kind !== 'sent') {
      if (last !== undefined && nonce >= last.nonce) this.#unanswered.delete(key)
      return
    }
    if (event.isAnswer) return
    const { cluster, other } = serverOptions.ackWaitMs
    const waitMs = event.typeUrl.endsWith('.Cluster') ? cluster : other
    if (last !== undefined && nowMs - last.atMs < waitMs - maxAgeMs) {
      this.#onBreak(this.#peers.get(event.streamId) ?? '', `${event.typeUrl} ${event.nonce} after ${last.nonce}`)
    }
    this.#unanswered.set(key, { nonce, atMs: nowMs })
  }
}
