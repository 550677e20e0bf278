import type { Problem } from '../errors.ts'

/** An etcd user who may not write gets the right seldom; then it is asked again after so long. */
export const forbiddenRetryMs = 60_000

export const writeRightFix = "give the user the right to write below etcd's prefix, or this server --etcd-read-only"

/** What keeps the replicas from being one fleet: this one serves on. */
export function fleetProblem(key: string, message: string, fix: string): Problem {
  return { severity: 'warning', code: 'fleet', origin: { name: `etcd:${key}` }, path: '', message, fix }
}
