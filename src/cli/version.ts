import { Command, Option } from 'commander'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { type VersionReport, versionReport } from '../version-report.ts'
import { type Io, print, printJson } from './io.ts'
import { jsonOption } from './option.ts'

export function versionCommand(io: Io): Command {
  return new Command('version')
    .description("print the versions of fairlead, Node and Envoy's API")
    .addOption(new Option('--envoy-api <FILE>', 'descriptors to describe, instead of the built-in ones'))
    .addOption(jsonOption())
    .action((flags: { envoyApi?: string; json?: true }) => {
      const report = versionReport(loadEnvoyApi(flags.envoyApi))
      if (flags.json) printJson(io, report)
      else print(io, versionText(report))
    })
}

function versionText({ fairlead, commit, commitDate, node, envoyApi, historyFormat }: VersionReport): string {
  const build = commit === 'unknown' ? commit : `${commit}, of ${commitDate}`
  return [
    `fairlead   ${fairlead}`,
    `Build      ${build}`,
    `Node       ${node}`,
    `Envoy API  ${envoyApi}`,
    `History    format ${historyFormat}`,
  ].join('\n')
}
