import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startControlPlane, type TestControlPlane } from './control-plane.ts'
import { startEdgeEnvoy } from './edge.ts'
import type { EnvoyProcess } from './envoy.ts'
import { tempDir } from './temp.ts'
import type { Protocol } from './wire-client.ts'

/** The file is there whole or not at all, as an editor or a deployment writes it. */
export function writeConfig(directory: string, file: string, ...documents: readonly string[]): void {
  writeFileSync(join(directory, `.${file}`), documents.join('---'))
  renameSync(join(directory, `.${file}`), join(directory, file))
}

/** What stands in a file: a document, or several. */
export type ConfigFiles = Readonly<Record<string, string | readonly string[]>>

/** A control plane on a directory with these files, and an Envoy of the cluster `edge` that went LIVE by it. */
export async function startOnDirectory(
  files: ConfigFiles,
  { protocol = 'delta', config = tempDir() }: { readonly protocol?: Protocol; readonly config?: string } = {},
): Promise<{ readonly config: string; readonly server: TestControlPlane; readonly envoy: EnvoyProcess }> {
  for (const [file, documents] of Object.entries(files)) writeConfig(config, file, ...[documents].flat())
  const server = await startControlPlane({ config: [config] })
  const envoy = await startEdgeEnvoy(server, { protocol, args: ['--file-flush-interval-msec', '100'] })
  await envoy.waitLive()
  return { config, server, envoy }
}
