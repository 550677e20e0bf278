import { Command, Option } from 'commander'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { type Io, print, printJson } from './io.ts'
import { jsonOption } from './option.ts'
import { fairleadVersion } from './own-version.ts'

export function versionCommand(io: Io): Command {
  return new Command('version')
    .description("print the versions of fairlead, Node and Envoy's API")
    .addOption(new Option('--envoy-api <FILE>', 'descriptors to describe, instead of the built-in ones'))
    .addOption(jsonOption())
    .action((flags: { envoyApi?: string; json?: true }) => {
      const api = loadEnvoyApi(flags.envoyApi)
      const envoyApi = `${api.label} (${api.files.length} files)`
      if (flags.json) return printJson(io, { fairlead: fairleadVersion, node: process.version, envoyApi })
      print(io, [`fairlead   ${fairleadVersion}`, `Node       ${process.version}`, `Envoy API  ${envoyApi}`].join('\n'))
    })
}
