import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import pc from 'picocolors'
import type { DocumentsJson } from '../admin/revision-json.ts'
import { documentIdOf } from '../config/document-key.ts'
import { parseDocument } from '../config/parse-document.ts'
import { ControlPlaneError } from '../errors.ts'
import { type EnvoyApi, loadEnvoyApi } from '../resource/envoy-api.ts'
import type { RevisionDocument } from '../snapshot/history/documents.ts'
import type { RevisionSummary } from '../snapshot/history/record.ts'
import { type EtcdFlags, etcdOptions, withEtcdOptions } from './etcd-option.ts'
import { counted, exitCodes, type Io, print, printJson } from './io.ts'
import { timeText } from './nodes.ts'
import { argument, envoyApiOption, jsonOption } from './option.ts'
import { findInEtcd } from './rollback-etcd.ts'
import { findFiles } from './rollback-files.ts'
import { historyInDirectory, historyInEtcd, historyOfServer, type WrittenHistory } from './rollback-history.ts'
import {
  isWrittenAlike,
  type LeftDocument,
  type PlannedDocument,
  planRollback,
  type RollbackPlan,
} from './rollback-plan.ts'
import type { FindTarget, RollbackTarget } from './rollback-target.ts'
import { serverOption } from './server-client.ts'
import { fleetOption } from './snapshots.ts'
import { formatTable } from './table.ts'

interface Flags extends Partial<EtcdFlags> {
  readonly server: string
  readonly snapshots?: string
  readonly fleet?: true
  readonly config?: string
  readonly previous?: true
  readonly dryRun?: true
  readonly partial?: true
  readonly envoyApi?: string
  readonly json?: true
}

const help = `
Documents that were in force at the revision are written back where they stood;
those that came into force later go. A document that holds what it held then
stays as it is, and one that was never in force is left alone. The files that
documents name (\`file:\`, certificates) are not part of it.

  fairlead rollback --previous --config ./config --dry-run
  fairlead rollback 41 --config ./config
  fairlead rollback 41 --etcd http://127.0.0.1:2379
  fairlead rollback 12 --etcd http://127.0.0.1:2379 --fleet

The last reads the history that all replicas have in common, in etcd itself: no
server need run.
`

export function rollbackCommand(io: Io, finish: (exitCode: number) => void): Command {
  const command = new Command('rollback')
    .description('write the documents of an earlier revision back into files or etcd')
    .addArgument(argument('[REVISION]', 'a number of `snapshots list`, or latest: what is in force now'))
    .addOption(new Option('--previous', 'the revision before the last that changed these documents'))
    .addOption(serverOption(io))
    .addOption(new Option('--snapshots <DIR>', 'read the history in this directory, without a server'))
    .addOption(fleetOption().conflicts('snapshots'))
    .addOption(new Option('--config <PATH>', 'the directory that the documents came from, or one file in it'))
  return withEtcdOptions(command, { isOptional: true })
    .addOption(new Option('--dry-run', 'only print what would be done'))
    .addOption(new Option('--partial', 'do the rest where a document cannot be brought back'))
    .addOption(envoyApiOption())
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (asked: string | undefined, flags: Flags) => {
      const find = findTarget(flags)
      const api = loadEnvoyApi(flags.envoyApi)
      const history = await historyFor(flags, api, io)
      const newest = (history.revisions.at(-1) as RevisionSummary).revision
      const latest = await history.show(newest)
      const past = await pastOf(asked, flags, history, latest, find)
      const target = find([...past.written, ...latest.written], history.directory)
      if (target === undefined) throw foreign(flags, past, history.directory)
      const plan = planRollback({
        revision: past.revision,
        past: heldBy(target, past),
        latest: heldBy(target, latest),
        now: await target.read(),
        parse: (document, held) => parseDocument(api, document, { held }),
      })
      const isRefused = plan.lost.length > 0 && flags.partial !== true
      const isWritten = plan.texts.length > 0 && flags.dryRun !== true && !isRefused
      if (flags.json !== true) tellPlan(io, { past, latest, target, plan })
      const progress = (text: string): void => void io.err.write(`${text}\n`)
      const how = isWritten ? await target.write(plan.texts, progress) : undefined
      if (flags.json) printJson(io, planJson({ past, target, plan, isWritten }))
      else tellEnd(io, { target, plan, how, isRefused })
      if (isRefused) finish(exitCodes.config)
    })
}

function historyFor(flags: Flags, api: EnvoyApi, io: Io): Promise<WrittenHistory> {
  if (flags.snapshots !== undefined) return historyInDirectory(flags.snapshots, api)
  if (flags.fleet === undefined) return historyOfServer(flags.server, io.signal)
  const { etcd, etcdPrefix, ...rest } = flags
  if (etcd === undefined) return historyOfServer(flags.server, io.signal, '/api/fleet/snapshots')
  return historyInEtcd(etcdOptions({ ...rest, etcd, etcdPrefix: etcdPrefix as string }), api)
}

/** @throws ControlPlaneError `usage` unless it is one of the two. */
function findTarget({ config, etcd, etcdPrefix, ...flags }: Flags): FindTarget {
  if ((config === undefined) === (etcd === undefined)) {
    throw new ControlPlaneError(
      'usage',
      'give the place to write to, as it is given to `serve`: --config PATH or --etcd URLS',
    )
  }
  if (config !== undefined) return findFiles(config)
  return findInEtcd(etcdOptions({ ...flags, etcd: etcd as string, etcdPrefix: etcdPrefix as string }))
}

const heldBy = (target: RollbackTarget, { written }: DocumentsJson): readonly RevisionDocument[] =>
  written.filter(({ key }) => target.holds(documentIdOf(key)))

/** @throws ControlPlaneError `usage` for a revision that cannot be. */
async function pastOf(
  asked: string | undefined,
  { previous, ...flags }: Flags,
  history: WrittenHistory,
  latest: DocumentsJson,
  find: FindTarget,
): Promise<DocumentsJson> {
  if ((asked === undefined) === (previous === undefined)) {
    throw new ControlPlaneError(
      'usage',
      'say which revision: a number of `fairlead snapshots list`, latest, or --previous',
    )
  }
  if (asked === 'latest') return latest
  if (asked !== undefined) {
    if (/^\d{1,15}$/.test(asked)) return await history.show(Number(asked))
    throw new ControlPlaneError(
      'usage',
      `${asked} is no revision: give a number of \`fairlead snapshots list\`, or latest`,
    )
  }
  const { revisions, directory } = history
  const now = find(latest.written, directory)
  const isOurs = ({ documents: { count, names } }: RevisionSummary): boolean =>
    count > names.length || names.some((name) => now?.isOrigin(name) ?? true)
  const at = Math.max(revisions.findLastIndex(isOurs), 0)
  for (const { revision } of revisions.slice(0, at).reverse()) {
    const past = await history.show(revision)
    const target = find([...past.written, ...latest.written], directory)
    // A certificate that is renewed makes a revision, too, and no other text.
    if (target === undefined || !isWrittenAlike(heldBy(target, past), heldBy(target, latest))) return past
  }
  const place = flags.config ?? 'etcd'
  throw new ControlPlaneError('usage', `the history holds nothing from before the last change of ${place}`)
}

function foreign(
  { config, etcdPrefix }: Flags,
  { revision, written }: DocumentsJson,
  base: string | undefined,
): ControlPlaneError {
  const asked = config ?? `etcd ${etcdPrefix}`
  const placeOf = ({ key, origin: { name } }: RevisionDocument): string => {
    const directory = name.replace(/[^/]*$/, '') || './'
    return base !== undefined && key.startsWith('file') ? join(resolve(base, directory), '/') : directory
  }
  const places = [...new Set(written.map(placeOf))].sort()
  const from = places.length === 0 ? 'it had none' : `they came from ${places.slice(0, 3).join(', ')}`
  return new ControlPlaneError('usage', `${asked} is not where the documents of revision ${revision} stood: ${from}`)
}

interface Told {
  readonly past: DocumentsJson
  readonly latest: DocumentsJson
  readonly target: RollbackTarget
  readonly plan: RollbackPlan
}

function tellPlan(io: Io, { past, latest, target, plan }: Told): void {
  const color = pc.createColors(io.out.isTTY === true)
  const { count, names } = past.documents
  const because = names[0] === undefined ? '' : `, because of ${names[0]}${count > 1 ? ` and ${count - 1} more` : ''}`
  print(io, `revision ${past.revision} of ${timeText(past.time)}${because}`)
  if (plan.documents.length > 0) {
    const marks = { added: color.green('+'), changed: color.yellow('~'), removed: color.red('-') }
    const rows = plan.documents.map((one) => [marks[one.change], nameOf(one), placeText(target, plan, one)])
    print(io, `\n${formatTable(['', 'document', 'in'], rows)}\n\n`)
  }
  for (const one of plan.kept) print(io, `kept: ${nameOf(one)} in ${target.placeOf(one.id)}: ${one.why}`)
  const elsewhere = elsewhereOf(past, latest, target)
  if (elsewhere > 0) {
    print(io, `not touched: ${counted(elsewhere, 'document')} of other places that changed since`)
  }
}

const nameOf = ({ name }: Pick<PlannedDocument, 'name'>): string => name ?? 'a broken document'

function placeText(target: RollbackTarget, { texts }: RollbackPlan, { id }: PlannedDocument): string {
  const text = texts.find((one) => one.id === id)
  const more = text?.after === undefined ? ', which goes' : text.before === undefined ? ', which comes' : ''
  return `${target.placeOf(id)}${more}`
}

/** How many documents of other sources are others now; those that nobody wrote do not count. */
function elsewhereOf(past: DocumentsJson, latest: DocumentsJson, target: RollbackTarget): number {
  const elsewhere = ({ written }: DocumentsJson): Map<string, string> =>
    new Map(
      written
        .filter(({ key, text }) => text !== undefined && !target.holds(documentIdOf(key)))
        .map(({ key, text }) => [key, text?.version ?? '']),
    )
  const [before, after] = [elsewhere(past), elsewhere(latest)]
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].filter((key) => before.get(key) !== after.get(key)).length
}

interface Ended {
  readonly target: RollbackTarget
  readonly plan: RollbackPlan
  /** Undefined: nothing was written. */
  readonly how: string | undefined
  readonly isRefused: boolean
}

function tellEnd(io: Io, { target, plan, how, isRefused }: Ended): void {
  for (const one of plan.lost) {
    io.err.write(`cannot be brought back: ${nameOf(one)} in ${target.placeOf(one.id)}: ${one.why}\n`)
  }
  if (isRefused) {
    io.err.write('Nothing was written: write these by hand, or bring back all others with --partial\n')
    return
  }
  if (plan.texts.length === 0) return print(io, `${target.name} holds that already: nothing to do.`)
  if (how === undefined) return print(io, 'Nothing was written (--dry-run).')
  print(io, `${target.name}: ${counted(plan.documents.length, 'document')} brought back or taken away ${how}.`)
  print(
    io,
    'It takes effect like any change: `fairlead snapshots list` shows it as a new revision, `fairlead nodes` who has it.',
  )
}

function planJson({ past, target, plan, isWritten }: Omit<Told, 'latest'> & { readonly isWritten: boolean }): object {
  const left = ({ id, name, why }: LeftDocument): object => ({ place: target.placeOf(id), ...(name && { name }), why })
  return {
    revision: past.revision,
    time: past.time,
    documents: plan.documents.map(({ id, name, change }) => ({
      place: target.placeOf(id),
      ...(name && { name }),
      change,
    })),
    kept: plan.kept.map(left),
    cannot: plan.lost.map(left),
    written: isWritten,
  }
}
