import type { Talk } from './talk.ts'

/** Of what comes from a file: there is nobody to talk to. */
export const noTalk: Talk = {
  isDue: false,
  isAnswer: false,
  want: () => undefined,
  unwant: () => undefined,
  wantAll: () => undefined,
  begin: () => undefined,
  accept: () => undefined,
  reject: () => undefined,
  shrug: () => undefined,
  forget: () => undefined,
  next: () => undefined,
}
