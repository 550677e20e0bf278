import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { type Io, print, printJson } from './io.ts'

const packageJson: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
)

export const fairleadVersion: string = packageJson.version

export function versionCommand(io: Io): Command {
  return new Command('version')
    .description('print the versions of fairlead, Node and the Envoy API')
    .option('--envoy-api <file>', 'descriptors to describe, instead of the built-in ones')
    .option('--json', 'print JSON')
    .action((flags: { envoyApi?: string; json?: true }) => {
      const api = loadEnvoyApi(flags.envoyApi)
      const about = {
        fairlead: fairleadVersion,
        node: process.version,
        envoyApi: `${api.label} (${api.files.file.length} files)`,
      }
      if (flags.json) printJson(io, about)
      else for (const [name, text] of Object.entries(about)) print(io, `${name.padEnd(10)}${text}`)
    })
}
