import { describe } from 'vitest'
import { findEnvoy } from './envoy-binary.ts'
import { findEtcd } from './etcd.ts'
import { findProgram } from './find-program.ts'
import { findPrometheus } from './prometheus.ts'

/** What .ci/run looks for in the names of skipped tests; `npm run setup` is what mends it. */
const mark = (what: string): string => `(skipped: no ${what}; npm run setup)`

/** At the end of the name of a test that needs what no program brings: .ci/run says that it was not run. */
export const notHere = (what: string): string => `(skipped: this machine ${what})`

/**
 * A suite that needs a stock Envoy. Without one it is skipped, and says so in its name; under CI that is an error.
 * @param version `1.39.3` or `1.39`; any version by default
 */
export function describeWithEnvoy(name: string, suite: (envoy: string) => void, version?: string): void {
  describeWith(`Envoy${version === undefined ? '' : ` ${version}`}`, findEnvoy(version), name, suite)
}

/** A suite that needs etcd: `suite` is given the path of the server's binary. */
export function describeWithEtcd(name: string, suite: (etcd: string) => void): void {
  describeWith('etcd', findEtcd(), name, suite)
}

/** A suite that needs Prometheus and promtool: `suite` is given the path of promtool. */
export function describeWithPrometheus(name: string, suite: (promtool: string) => void): void {
  describeWith('Prometheus', findPrometheus()?.promtool, name, suite)
}

function describeWith(what: string, path: string | undefined, name: string, suite: (path: string) => void): void {
  if (path === undefined) skipForWantOf(what, name, () => suite(what))
  else describe(name, () => suite(path))
}

export interface RootNeeds {
  readonly programs: readonly string[]
  /** Whether this machine lets root do what it takes, and what to say where it does not. */
  readonly isLet: () => boolean
  readonly otherwise: string
}

/**
 * A suite that needs root, and programs that belong to the system. Where the one is not given, it is skipped, and says so in its
 * name; where root has not the others, under CI, that is an error.
 */
export function describeAsRoot(name: string, suite: () => void, { programs, isLet, otherwise }: RootNeeds): void {
  const missing = programs.filter((program) => findProgram(program) === undefined)
  if (process.getuid?.() !== 0) describe.skip(`${name} ${notHere('runs the tests without root')}`, suite)
  else if (missing.length > 0) skipForWantOf(missing.join(', '), name, suite)
  else if (!isLet()) describe.skip(`${name} ${notHere(otherwise)}`, suite)
  else describe(name, suite)
}

/** A suite that cannot run for want of something that `npm run setup` brings; under CI that is an error. */
export function skipForWantOf(what: string, name: string, suite: () => void): void {
  if (process.env['CI']) throw new Error(`${name} needs ${what}: npm run setup`)
  describe.skip(`${name} ${mark(what)}`, suite)
}
