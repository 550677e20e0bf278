/**
 * `npm run conformance`: plays the cases of cases/ against an xDS server, and says which rules it keeps. README.md has the
 * flags and the format.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { levels } from './case.ts'
import { readKnownGaps } from './known-gaps.ts'
import { CaseFileError, readCases } from './read-cases.ts'
import { resultLines, scoreLines, scores } from './report.ts'
import { choose, runCases } from './run-cases.ts'
import { foreignTarget, startOwn } from './target.ts'
import { loadWire } from './wire.ts'
import { claimDirectory, type FileFormat, WorldDirectory } from './world-directory.ts'

const help = `npm run conformance -- [flags]

  --target HOST:PORT   the xDS server; without it, fairlead itself is started
  --apply COMMAND      run as \`COMMAND DIR\` in a shell after each change of DIR; it
                       returns when the server serves what is there
  --dir DIR            where the files are written (default: a new directory)
  --format yaml|json   of these files (default: yaml)
  --only WORD          rule-26, must, should, ours, sotw, delta, or a piece of a
                       title; may be repeated
  --list               print the cases, and play none
  --json               print a JSON object in the end, and nothing else
  --settle-ms N        how long silence is listened to (default: 200)
  --patience-ms N      how long an answer is waited for (default: 3000)
  --jobs N             cases at a time (default: 1; of fairlead, 16)
  --cases DIR          other cases than these

Exit code: 0; 1 when a MUST failed; 2 when the cases or flags are wrong.`

class UsageError extends Error {}

const casesDirectory = fileURLToPath(new URL('cases', import.meta.url))

try {
  process.exitCode = await main()
} catch (error) {
  const isTold = error instanceof UsageError || error instanceof CaseFileError
  console.error(isTold ? error.message : error)
  process.exitCode = 2
}

async function main(): Promise<number> {
  const flags = readFlags()
  if (flags.help) {
    console.log(help)
    return 0
  }
  const parts = choose(readCases(flags.cases ?? casesDirectory), flags.only)
  if (parts.length === 0) throw new UsageError(`no case is called ${flags.only.join(' or ')}`)
  if (flags.list) {
    for (const { title, cases } of parts) {
      console.log(`\n${title}`)
      for (const { level, rules, title: name, protocol } of cases) {
        console.log(`  ${level.toUpperCase().padEnd(6)}  ${rules.join(',').padEnd(6)}  ${protocol.padEnd(5)}  ${name}`)
      }
    }
    const all = parts.flatMap(({ cases }) => cases)
    const counts = levels.map((level) => `${all.filter((one) => one.level === level).length} ${level.toUpperCase()}`)
    console.log(`\n${all.length} cases: ${counts.join(', ')}`)
    return 0
  }
  const directory = flags.directory ?? mkdtempSync(join(tmpdir(), 'conformance-'))
  try {
    claimDirectory(directory)
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
  const isOwn = flags.target === undefined
  const target = isOwn ? await startOwn(directory) : foreignTarget(flags.target ?? '', flags.apply ?? '')
  const gaps = isOwn ? readKnownGaps() : undefined
  const startedAt = performance.now()
  let part = ''
  const worlds = new WorldDirectory(directory, flags.format, target.apply)
  try {
    const results = await runCases(parts, {
      address: target.address,
      wire: loadWire(),
      worlds,
      patienceMs: flags.patienceMs,
      settleMs: flags.settleMs,
      jobs: flags.jobs ?? (isOwn ? 16 : 1),
      onResult: (result) => {
        if (flags.json) return
        if (result.part !== part) console.log(`\n${result.part}`)
        part = result.part
        console.log(resultLines(result, gaps?.why(result)))
      },
    })
    if (flags.json) console.log(JSON.stringify({ score: scores(results), results }, undefined, 2))
    else console.log(`\n${scoreLines(results)}\n\nin ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    const { must } = scores(results)
    return must.passed < must.of ? 1 : 0
  } finally {
    await target.close()
    worlds.clear()
    if (flags.directory === undefined) rmSync(directory, { recursive: true, force: true })
  }
}

interface Flags {
  readonly help: boolean
  readonly list: boolean
  readonly json: boolean
  readonly target: string | undefined
  readonly apply: string | undefined
  readonly directory: string | undefined
  readonly cases: string | undefined
  readonly format: FileFormat
  readonly only: readonly string[]
  readonly settleMs: number
  readonly patienceMs: number
  readonly jobs: number | undefined
}

function readFlags(): Flags {
  const text = { type: 'string' } as const
  const on = { type: 'boolean' } as const
  const options = {
    help: on,
    list: on,
    json: on,
    target: text,
    apply: text,
    dir: text,
    cases: text,
    format: text,
    only: { type: 'string', multiple: true },
    'settle-ms': text,
    'patience-ms': text,
    jobs: text,
  } as const
  const values = ((): ReturnType<typeof parseArgs<{ options: typeof options }>>['values'] => {
    try {
      return parseArgs({ options }).values
    } catch (error) {
      throw new UsageError(`${(error as Error).message}\n\n${help}`)
    }
  })()
  const number = (name: 'settle-ms' | 'patience-ms' | 'jobs'): number | undefined => {
    const given = values[name]
    if (given !== undefined && !/^[1-9]\d*$/.test(given)) throw new UsageError(`--${name} is a number, not ${given}`)
    return given === undefined ? undefined : Number(given)
  }
  const format = values.format ?? 'yaml'
  if (format !== 'yaml' && format !== 'json') throw new UsageError(`--format is yaml or json, not ${format}`)
  if ((values.target === undefined) !== (values.apply === undefined)) {
    throw new UsageError('--target and --apply go together: where the server is, and how it is told what to serve')
  }
  return {
    help: values.help === true,
    list: values.list === true,
    json: values.json === true,
    target: values.target,
    apply: values.apply,
    directory: values.dir,
    cases: values.cases,
    format,
    only: values.only ?? [],
    settleMs: number('settle-ms') ?? 200,
    patienceMs: number('patience-ms') ?? 3000,
    jobs: number('jobs'),
  }
}
