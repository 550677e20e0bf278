import { describe } from 'vitest'
import { type EnvoyProcess, startEnvoy } from './envoy.ts'
import { describeWithEnvoy } from './needs.ts'
import { startReferenceProxy } from './reference-proxy.ts'

/** A proxy for one test, of either sort. */
export type StartProxy = (options: { readonly bootstrap: object | string }) => Promise<EnvoyProcess>

/** Which sort a run of the tests is about (vitest.config.ts). */
const isAboutReferenceProxy = process.env['FAIRLEAD_TEST_PLANE'] === 'reference'

/** A suite that is asked of a stock Envoy, or in the runs that are about it of the reference proxy. */
export function describeEachPlane(name: string, suite: (start: StartProxy) => void): void {
  if (isAboutReferenceProxy) describe(`a reference proxy ${name}`.trim(), () => suite(startReferenceProxy))
  else describeWithEnvoy(`a stock Envoy ${name}`.trim(), () => suite(startEnvoy))
}
