import type { Log } from '../log.ts'
import type { Outbox } from './flow/outbox.ts'
import type { StreamRecord } from './status.ts'
import type { StreamDeps } from './stream-deps.ts'
import type { Protocol } from './stream-event.ts'
import type { StreamWarnings } from './stream-warning.ts'
import type { Progress } from './transition/progress.ts'
import type { TypeBook } from './type-book.ts'

/** One stream, as those see it who each do a part of its work. */
export interface Conversation {
  readonly id: number
  readonly protocol: Protocol
  readonly deps: StreamDeps
  readonly types: TypeBook
  readonly progress: Progress
  readonly outbox: Outbox
  readonly record: StreamRecord
  /** Made when it is asked for. */
  readonly log: Log
  readonly warnings: StreamWarnings
}
