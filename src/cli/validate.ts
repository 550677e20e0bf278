import { Command, Option } from 'commander'
import { createAttachments, directoryOfDocument } from '../attachments.ts'
import { createSnapshotCache } from '../cache/snapshot-cache.ts'
import { parseDocument } from '../config/parse-document.ts'
import { formatOrigin, isError, type Problem } from '../errors.ts'
import { silentLog } from '../log.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { isKindUnit } from '../snapshot/unit.ts'
import type { Unit, UnitChange } from '../snapshot/world.ts'
import { createWorld } from '../snapshot/world.ts'
import { byPlace } from '../snapshot/world-problem.ts'
import { createMesh } from '../translate/mesh.ts'
import { askEnvoy, type EnvoyFailure } from './ask-envoy.ts'
import { counted, exitCodes, type Io, print, printJson } from './io.ts'
import { envoyApiOption, jsonOption, repeatable } from './option.ts'
import { countProblems, formatProblems } from './problem-text.ts'
import { readDocuments } from './read-documents.ts'

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
    .addOption(
      repeatable('--allow-file <DIR>', 'a directory that the `file:` of a document may lie in, besides its own'),
    )
    .addOption(repeatable('--static <CLUSTER>', 'a cluster that the bootstraps of the Envoys hold'))
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

interface Checked {
  readonly documents: number
  readonly resources: number
  /** In order of place. */
  readonly problems: readonly Problem[]
  /** Some document has an error of its own, so that what it holds counts as absent. */
  readonly isPartial: boolean
  readonly envoyFailures: readonly EnvoyFailure[]
}

async function check(path: string, flags: Flags, io: Io): Promise<Checked> {
  const api = loadEnvoyApi(flags.envoyApi)
  const { documents, problems: readingProblems } = await readDocuments(path, silentLog, io.signal)
  const { parse } = createAttachments({
    api,
    parse: (document) => parseDocument(api, document),
    inForce: new Map(),
    directoryOf: (document) => directoryOfDocument(document, path),
    allowed: flags.allowFile ?? [],
  })
  const parsed = documents.map((document) => parse(document, []))
  const changes = parsed.flatMap(({ documents: valid, invalid }): UnitChange[] => [
    ...valid.map((unit): UnitChange => ({ kind: 'valid', unit })),
    ...invalid.map((document): UnitChange => ({ kind: 'invalid', ...document })),
  ])
  const staticClusters = flags.static ?? []
  const mesh = createMesh(api)
  const world = createWorld({
    staticNames: { cluster: ['fairlead', ...staticClusters] },
    allowPartial: true,
    judge: (candidate) => mesh.try(candidate),
  })
  const step = world.apply(changes, { isFirst: true })
  const units = [...world.inForce.values(), ...world.generated.values()].filter((unit) => !isKindUnit(unit))
  const question = { api, cache: cacheOf(units), units, staticClusters, signal: io.signal }
  return {
    documents: documents.length,
    resources: units.reduce((sum, unit) => sum + unit.resources.length, 0),
    problems: [...readingProblems, ...parsed.flatMap((document) => document.problems), ...step.problems].sort(byPlace),
    isPartial: parsed.some(({ invalid }) => invalid.length > 0),
    envoyFailures: flags.envoy === undefined ? [] : await askEnvoy(flags.envoy, question),
  }
}

function cacheOf(units: readonly Unit[]): ReturnType<typeof createSnapshotCache> {
  const cache = createSnapshotCache()
  cache.apply({ upserted: units, removed: [], withheld: [] })
  return cache
}

function toJson(ok: boolean, { documents, resources, problems, envoyFailures }: Checked): object {
  return {
    ok,
    documents,
    resources,
    problems: problems.map((problem) => ({ place: formatOrigin(problem.origin), ...problem })),
    envoyFailures,
  }
}

function formatChecked(path: string, { envoy }: Flags, checked: Checked, color: boolean): string {
  const { documents, resources, problems, envoyFailures, isPartial } = checked
  const lines: string[] = []
  if (problems.length > 0) lines.push(formatProblems(problems, { color }), '')
  for (const { nodes, message } of envoyFailures)
    lines.push(`Envoy refuses what ${nodes} would get:`, `  ${message}`, '')
  const verdicts = [problems.length === 0 ? 'no problem' : countProblems(problems)]
  if (envoyFailures.length > 0) verdicts.push('refused by Envoy')
  else if (envoy !== undefined && resources > 0) verdicts.push('accepted by Envoy')
  const total = `${path}: ${counted(documents, 'file')}, ${counted(resources, 'resource')} that can be served`
  lines.push(`${total}; ${verdicts.join(', ')}`)
  if (isPartial && problems.some(({ code }) => code === 'dangling-reference')) {
    lines.push(
      'What stands in a document with an error counts as absent: mend it, and references to it mend themselves.',
    )
  }
  return lines.join('\n')
}
