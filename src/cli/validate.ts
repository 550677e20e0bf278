import { Command, Option } from 'commander'
import { formatOrigin, isError } from '../errors.ts'
import { bootstrapCluster } from '../resource/bootstrap-cluster.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { askEnvoy, type EnvoyFailure } from './ask-envoy.ts'
import { counted, exitCodes, type Io, print, printJson } from './io.ts'
import { allowFileOption, envoyApiOption, jsonOption, staticOption } from './option.ts'
import { countProblems, formatProblems } from './problem-text.ts'
import { type ReadWorld, readWorld } from './read-world.ts'

interface Flags {
  readonly allowFile?: readonly string[]
  readonly envoy?: string
  readonly envoyApi?: string
  readonly static?: readonly string[]
  readonly json?: true
}

const help = `
Exit code 0: no error (there may be warnings); 1: errors; 2: nothing to check.

--envoy also asks the real binary (envoy --mode validate), once for each
selector of nodes:
  fairlead validate ./config --envoy "$(which envoy)"

In a pipeline:
  fairlead validate ./config --json | jq -r '.problems[].place'
`

export function validateCommand(io: Io, finish: (exitCode: number) => void): Command {
  return new Command('validate')
    .description('check files as `serve` would, and print every problem at once')
    .argument('<PATH>', 'a directory or file of configuration')
    .addOption(new Option('--envoy <BINARY>', 'also have this Envoy check what would be sent'))
    .addOption(envoyApiOption())
    .addOption(allowFileOption())
    .addOption(staticOption())
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (path: string, flags: Flags) => {
      const checked = await check(path, flags, io)
      const isRight = !checked.problems.some(isError) && checked.envoyFailures.length === 0
      if (flags.json) printJson(io, toJson(isRight, checked))
      else print(io, formatChecked(path, flags, checked, io.out.isTTY === true))
      if (!isRight) finish(exitCodes.config)
    })
}

interface Checked extends Pick<ReadWorld, 'files' | 'problems' | 'isPartial'> {
  readonly resources: number
  readonly envoyFailures: readonly EnvoyFailure[]
}

async function check(path: string, flags: Flags, { signal }: Io): Promise<Checked> {
  const api = loadEnvoyApi(flags.envoyApi)
  const staticClusters = [bootstrapCluster, ...(flags.static ?? [])]
  const world = await readWorld(api, [path], { allowed: flags.allowFile ?? [], staticClusters, signal })
  const { files, problems, isPartial, served } = world
  return {
    files,
    resources: served.reduce((sum, unit) => sum + unit.resources.length, 0),
    problems,
    isPartial,
    envoyFailures: flags.envoy === undefined ? [] : await askEnvoy(flags.envoy, { api, world, staticClusters, signal }),
  }
}

function toJson(ok: boolean, { files, resources, problems, envoyFailures }: Checked): object {
  return {
    ok,
    documents: files,
    resources,
    problems: problems.map((problem) => ({ place: formatOrigin(problem.origin), ...problem })),
    envoyFailures,
  }
}

function formatChecked(path: string, { envoy }: Flags, checked: Checked, color: boolean): string {
  const { files, resources, problems, envoyFailures, isPartial } = checked
  const lines: string[] = []
  if (problems.length > 0) lines.push(formatProblems(problems, { color }), '')
  for (const { nodes, message } of envoyFailures)
    lines.push(`Envoy refuses what ${nodes} would get:`, `  ${message}`, '')
  const verdicts = [problems.length === 0 ? 'no problem' : countProblems(problems)]
  if (envoyFailures.length > 0) verdicts.push('refused by Envoy')
  else if (envoy !== undefined && resources > 0) verdicts.push('accepted by Envoy')
  const total = `${path}: ${counted(files, 'file')}, ${counted(resources, 'resource')} that can be served`
  lines.push(`${total}; ${verdicts.join(', ')}`)
  if (isPartial && problems.some(({ code }) => code === 'dangling-reference')) {
    lines.push(
      'What stands in a document with an error counts as absent: mend it, and references to it mend themselves.',
    )
  }
  return lines.join('\n')
}
