import type { Clock } from '../clock.ts'
import { Admission } from './flow/admission.ts'
import { FanOut } from './flow/fan-out.ts'
import { SeldomLog } from './flow/seldom-log.ts'
import { BodyCache } from './protocol/body.ts'
import { ReplyMemo } from './protocol/reply.ts'
import { RequestReader } from './protocol/request-reader.ts'
import { RejectionBook } from './rejection/rejection-book.ts'
import type { StreamDeps, StreamOptions } from './stream.ts'
import { ClientMemory } from './transition/client-memory.ts'
import { PastViews } from './transition/past-views.ts'

export interface StreamDepsOptions extends Omit<StreamOptions, 'canSendSecrets'> {
  /** The connection is encrypted, or stays on this machine. */
  readonly isSecure: boolean
  /** Send sensitive resources though `isSecure` is false. */
  readonly allowPlaintextSecrets: boolean
  /** New streams that are given their first answers at once; the others wait their turn (rule 88). */
  readonly maxEntering: number
  /** Bytes that may be on their way to sockets, over all streams. */
  readonly maxUnflushedBytes: number
  /** Encoded answers kept for other streams in the same state. */
  readonly maxSharedBytes: number
  /** Above this a response is split, if its type may be (rule 19). */
  readonly maxResponseBytes: number
  /** How long a node may be gone until what it rejected is forgotten, and is sent to it again (rule 103). */
  readonly forgetRejectionsMs: number
  /** `control_plane.identifier` of every response. */
  readonly identifier: string
}

export interface StreamSurroundings extends Pick<StreamDeps, 'cache' | 'log' | 'status' | 'onEvent'> {
  readonly clock: Clock
  /** Calls `act` in a turn of the event loop of its own. */
  readonly defer: (act: () => void) => void
  /** How many new streams wait for their first answers, whenever that has changed. */
  readonly onWaiting?: ((count: number) => void) | undefined
}

/** How many answers are kept for other streams, whatever their size. */
const maxBodies = 1024

/** Nodes whose rejections are remembered while they are gone. */
const maxRejectingNodes = 10_000

/** A new client that answers nothing for so long no longer keeps another from its first answers. */
const entranceMs = 1000

/** How long one turn of a fan-out may hold the event loop. */
const sliceMs = 5

/** Puts together what the streams of one server share; of the simulation's server, too. */
export function buildStreamDeps(options: StreamDepsOptions, around: StreamSurroundings): StreamDeps {
  const { clock, defer, onWaiting, ...given } = around
  const { maxEntering, maxUnflushedBytes, maxResponseBytes, identifier } = options
  return {
    ...given,
    bodies: new BodyCache({ identifier, maxBodies, maxBytes: options.maxSharedBytes, maxResponseBytes }),
    replies: new ReplyMemo(),
    requests: { sotw: new RequestReader('sotw'), delta: new RequestReader('delta') },
    fanOut: new FanOut({ maxUnflushedBytes, sliceMs, clock, defer }),
    admission: new Admission({ maxEntering, holdMs: entranceMs, clock, onWaiting }),
    clock,
    seldom: new SeldomLog(given.log, clock),
    memory: new ClientMemory(),
    past: new PastViews(clock),
    rejections: new RejectionBook({
      maxNodes: maxRejectingNodes,
      forgetAfterMs: options.forgetRejectionsMs,
      clock,
    }),
    options: { ...options, canSendSecrets: options.isSecure || options.allowPlaintextSecrets },
  }
}
