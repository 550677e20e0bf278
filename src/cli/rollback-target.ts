import type { RevisionDocument } from '../snapshot/history/documents.ts'
import type { Document } from '../source/source.ts'
import type { TextChange } from './rollback-plan.ts'

/** Where documents are read now, and written back. */
export interface RollbackTarget {
  /** `./config`, or `etcd /fairlead/config/`. */
  readonly name: string
  /** Whether a document, by its id, is of this place. */
  holds(id: string): boolean
  /** Whether a revision's cause, by the name of its origin, is of this place. */
  isOrigin(name: string): boolean
  /** What a person opens. */
  placeOf(id: string): string
  /** @throws ControlPlaneError where it cannot be read. */
  read(): Promise<readonly Document[]>
  /**
   * Writes all of it, if everything is as it was read; what goes, goes last.
   * @returns how it was done: `in one transaction`.
   * @throws ControlPlaneError `config` when somebody was faster; the message says how far it came.
   */
  write(changes: readonly TextChange[], onProgress: (text: string) => void): Promise<string>
}

/**
 * Finds the target among the places that documents came from; undefined where they came from elsewhere.
 * @param base where relative paths of theirs begin, if that is known
 */
export type FindTarget = (
  documents: readonly RevisionDocument[],
  base: string | undefined,
) => RollbackTarget | undefined

/** What was there is there no more, or is another. */
export const changedMeanwhile = (place: string, done: number, all: number): string =>
  `somebody changed ${place} meanwhile, so ${done === 0 ? 'nothing was written' : `only ${done} of ${all} were written`}: look again`
