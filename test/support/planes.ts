import { describe } from 'vitest'
import { type EnvoyProcess, startEnvoy } from './envoy.ts'
import { describeWithEnvoy } from './needs.ts'
import { startReferenceProxy } from './reference-proxy.ts'

/** A proxy for one test, of either sort. */
export type StartProxy = (options: { readonly bootstrap: object | string }) => Promise<EnvoyProcess>

/** A suite that is asked of a stock Envoy and of the reference proxy; the one is skipped where there is none. */
export function describeEachPlane(name: string, suite: (start: StartProxy) => void): void {
  describeWithEnvoy(`a stock Envoy ${name}`.trim(), () => suite(startEnvoy))
  describe(`a reference proxy ${name}`.trim(), () => suite(startReferenceProxy))
}
