import { Command } from 'commander'
import { createSnapshotCache } from '../cache/snapshot-cache.ts'
import { parseDocument } from '../config/parse-document.ts'
import { ControlPlaneError, isError, type Problem } from '../errors.ts'
import { silentLog } from '../log.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import type { Unit, UnitChange } from '../snapshot/world.ts'
import { createWorld } from '../snapshot/world.ts'
import { askEnvoy } from './ask-envoy.ts'
import { exitCodes, type Io, print, printJson } from './io.ts'
import { countProblems, formatProblems } from './problem-text.ts'
import { readDocuments } from './read-documents.ts'

interface Flags {
  readonly envoy?: string
  readonly envoyApi?: string
  readonly static: readonly string[]
  readonly json?: true
}

const help = `
Exit code 0: no error (there may be warnings); 1: errors. In a pipeline:
  fairlead validate ./config --json | jq '.problems[] | .place + " " + .message'

--envoy also asks the real binary (envoy --mode validate), once for each selector of nodes:
  fairlead validate ./config --envoy "$(which envoy)"
`

export function validateCommand(io: Io, finish: (exitCode: number) => void): Command {
  return new Command('validate')
    .description('check a directory or file as `serve` would, and print every problem at once')
    .argument('<path>', 'a directory or file of configuration')
    .option('--envoy <binary>', 'also have this Envoy check what would be sent')
    .option('--envoy-api <file>', 'the API of the Envoy that is deployed (see `fairlead api import`)')
    .option('--static <cluster>', 'a cluster that the bootstraps hold; repeatable', collect, [])
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(async (path: string, flags: Flags) => {
      const checked = await check(path, flags, io)
      const hasErrors = checked.problems.some(isError) || checked.envoyFailures.length > 0
      if (flags.json) printJson(io, { ok: !hasErrors, ...checked })
      else print(io, formatChecked(path, checked, io.out.isTTY === true))
      if (hasErrors) finish(exitCodes.config)
    })
}

interface Checked {
  readonly documents: number
  readonly resources: number
  readonly problems: readonly Problem[]
  readonly envoyFailures: readonly { readonly nodes: string; readonly message: string }[]
}

async function check(path: string, flags: Flags, io: Io): Promise<Checked> {
  const api = loadEnvoyApi(flags.envoyApi)
  const { documents, problems: readingProblems } = await readDocuments(path, silentLog, io.signal)
  if (documents.length === 0 && readingProblems.length === 0) {
    throw new ControlPlaneError('usage', `${path} holds no document: \`validate\` reads *.yaml, *.yml and *.json`)
  }
  const parsed = documents.map((document) => parseDocument(api, document))
  const changes = parsed.flatMap(({ documents: valid, invalid }): UnitChange[] => [
    ...valid.map((unit): UnitChange => ({ kind: 'valid', unit })),
    ...invalid.map((document): UnitChange => ({ kind: 'invalid', ...document })),
  ])
  // A reference to something that a broken document holds is that document's problem, not a second one.
  const world = createWorld({ staticNames: { cluster: ['fairlead', ...flags.static] }, allowPartial: true })
  const step = world.apply(changes, { isFirst: true })
  const problems = [...readingProblems, ...parsed.flatMap((document) => document.problems), ...step.problems]
  const units = [...world.inForce.values()]
  const envoyFailures =
    flags.envoy === undefined
      ? []
      : await askEnvoy(flags.envoy, {
          api,
          cache: cacheOf(units),
          units,
          staticClusters: flags.static,
          signal: io.signal,
        })
  return {
    documents: documents.length,
    resources: units.reduce((sum, unit) => sum + unit.resources.length, 0),
    problems,
    envoyFailures,
  }
}

function cacheOf(units: readonly Unit[]): ReturnType<typeof createSnapshotCache> {
  const cache = createSnapshotCache()
  cache.apply({ upserted: units, removed: [], withheld: [] })
  return cache
}

function formatChecked(path: string, checked: Checked, color: boolean): string {
  const lines: string[] = []
  if (checked.problems.length > 0) lines.push(formatProblems(checked.problems, { color }), '')
  for (const { nodes, message } of checked.envoyFailures)
    lines.push(`Envoy refuses what ${nodes} would get:`, message, '')
  const total = `${path}: ${checked.documents} documents, ${checked.resources} resources in force`
  lines.push(`${total}; ${countProblems(checked.problems)}`)
  return lines.join('\n')
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value]
}
