import { atTestEnd, ifTestFails } from './at-test-end.ts'
import { findEnvoy } from './envoy-binary.ts'
import { type EnvoyOptions, type EnvoyProcess, launchEnvoy, tail } from './envoy-process.ts'

export type { EnvoyConfigDump, EnvoyProcess } from './envoy-process.ts'

/**
 * A stock Envoy for one test (or one file, when started in a `beforeAll`): closed at its end, and a failing test shows
 * the end of Envoy's log. Use within `describeWithEnvoy`.
 *
 *     const envoy = await startEnvoy({ bootstrap: buildBootstrap({ id: 'a', cluster: 'edge', server, delta: true }) })
 *     await envoy.waitLive()
 *     const load = startLoad({ port: await envoy.listenerPort('http'), rate: 200 })
 *
 * @throws Error with the end of Envoy's log when it does not come up
 */
export async function startEnvoy(
  options: Omit<EnvoyOptions, 'binary'> & { readonly binary?: string },
): Promise<EnvoyProcess> {
  const binary = options.binary ?? findEnvoy()
  if (binary === undefined) throw new Error('there is no Envoy: npm run setup')
  const envoy = await launchEnvoy({ ...options, binary })
  ifTestFails(() => console.error(`the end of the log of Envoy ${envoy.pid}:\n${tail(envoy.log())}`))
  atTestEnd(() => envoy.close())
  return envoy
}
