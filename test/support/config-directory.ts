import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startControlPlane, type TestControlPlane } from './control-plane.ts'
import { startEdgeEnvoy } from './edge.ts'
import type { EnvoyProcess } from './envoy.ts'
import type { Protocol } from './wire-client.ts'

/** The file is there whole or not at all, as an editor or a deployment writes it. */
export function writeConfig(directory: string, file: string, ...documents: readonly string[]): void {
  writeFileSync(join(directory, `.${file}`), documents.join('---'))
  renameSync(join(directory, `.${file}`), join(directory, file))
}

/** A control plane on a directory, and an Envoy of the cluster `edge` that went LIVE by it. */
export async function startOnDirectory(
  config: string,
  protocol: Protocol = 'delta',
): Promise<{ readonly server: TestControlPlane; readonly envoy: EnvoyProcess }> {
  const server = await startControlPlane({ config: [config] })
  const envoy = await startEdgeEnvoy(server, { protocol, args: ['--file-flush-interval-msec', '100'] })
  await envoy.waitLive()
  return { server, envoy }
}
