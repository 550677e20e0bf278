import type { SnapshotCache } from '../cache/cache.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Node } from '../resource/node.ts'
import type { TypeUrl } from '../resource/type-url.ts'
import { Barrier } from './fence/barrier.ts'
import { Admission } from './flow/admission.ts'
import { FanOut } from './flow/fan-out.ts'
import { SeldomLog } from './flow/seldom-log.ts'
import { BodyCache } from './protocol/body.ts'
import { ReplyMemo } from './protocol/reply.ts'
import { RequestReader } from './protocol/request-reader.ts'
import { RejectionBook } from './rejection/rejection-book.ts'
import type { StatusRecorder } from './status.ts'
import type { Protocol, StreamEvent } from './stream-event.ts'
import { ClientMemory } from './transition/client-memory.ts'
import { PastViews } from './transition/past-views.ts'
import type { ProgressOptions } from './transition/progress.ts'

export interface StreamOptions extends ProgressOptions {
  /** How long a push waits for the verdict on the last push of its type. Answers to requests never wait. */
  readonly ackWaitMs: { readonly cluster: number; readonly other: number }
  /** Skip the first answer of a pure wildcard LDS or CDS subscription that states the current version (rule 32). */
  readonly sotwResume: boolean
  /** Sensitive resources may be written to this server's clients. */
  readonly canSendSecrets: boolean
}

export interface StreamDeps {
  readonly cache: SnapshotCache
  /** What streams of one kind share, so that what is equal for many is computed once. */
  readonly bodies: BodyCache
  readonly replies: ReplyMemo
  readonly requests: Readonly<Record<Protocol, RequestReader>>
  readonly fanOut: FanOut
  /** Lets new streams in; without it, all at once. */
  readonly admission?: Admission
  /** Says when what is in force is no older than what clients may have; without it, it never is. */
  readonly barrier?: Barrier
  readonly clock: Clock
  readonly log: Log
  /** For what all of a group's streams may have to say at once. */
  readonly seldom: SeldomLog
  readonly status: StatusRecorder
  /** Remembers clients between two of their streams; without it each stream starts anew. */
  readonly memory?: ClientMemory
  /** Remembers what groups had; without it a client that is not remembered starts anew. */
  readonly past?: PastViews
  /** Remembers rejections over reconnections; without it they are known as long as the stream lasts. */
  readonly rejections?: RejectionBook
  /** Told of each client, by its first request. */
  readonly onNode?: ((node: Node) => void) | undefined
  /** For tests and measurements: nothing is made of what nobody hears. */
  readonly onEvent?: ((event: StreamEvent) => void) | undefined
  readonly options: StreamOptions
}

export interface StreamKind {
  readonly protocol: Protocol
  /** The type of a per-type service; undefined on ADS. */
  readonly typeUrl: TypeUrl | undefined
}

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

export interface StreamSurroundings extends Pick<StreamDeps, 'cache' | 'log' | 'status' | 'onNode' | 'onEvent'> {
  readonly clock: Clock
  /** Calls `act` in a turn of the event loop of its own. */
  readonly defer: (act: () => void) => void
  /** How many new streams wait for their first answers, whenever that has changed. */
  readonly onWaiting?: ((count: number) => void) | undefined
  /** Resolves once what is in force is as new as the sources were when it was called; absent where that goes without saying. */
  readonly caughtUp?: ((signal: AbortSignal) => Promise<void>) | undefined
  /** How many streams are held back until that is so, whenever it has changed. */
  readonly onHeldBack?: ((count: number) => void) | undefined
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
  const { clock, defer, onWaiting, caughtUp, onHeldBack: onHeld, ...given } = around
  const { maxEntering, maxUnflushedBytes, maxResponseBytes, identifier } = options
  return {
    ...given,
    bodies: new BodyCache({ identifier, maxBodies, maxBytes: options.maxSharedBytes, maxResponseBytes }),
    replies: new ReplyMemo(),
    requests: { sotw: new RequestReader('sotw'), delta: new RequestReader('delta') },
    fanOut: new FanOut({ maxUnflushedBytes, sliceMs, clock, defer }),
    admission: new Admission({ maxEntering, holdMs: entranceMs, clock, onWaiting }),
    ...(caughtUp && { barrier: new Barrier({ caughtUp, clock, log: given.log, onHeld }) }),
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
