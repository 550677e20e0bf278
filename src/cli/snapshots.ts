import { Command, Option } from 'commander'
import pc from 'picocolors'
import type { DiffJson, ResourceJson, RevisionJson } from '../admin/revision-json.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import { selectorLabel } from '../resource/selector-label.ts'
import type { RevisionSummary } from '../snapshot/history/record.ts'
import { type Io, print, printJson } from './io.ts'
import { timeText } from './nodes.ts'
import { argument, jsonOption } from './option.ts'
import { askServer, serverOption } from './server-client.ts'
import { formatTable } from './table.ts'
import { diffValues } from './value-diff.ts'

interface Flags {
  readonly server: string
  readonly fleet?: true
  readonly json?: true
}

const withServer = (command: Command, io: Io): Command =>
  command.addOption(serverOption(io)).addOption(fleetOption()).addOption(jsonOption())

/** Replicas on one etcd have a history in common; each has its own, too. */
export function fleetOption(): Option {
  return new Option('--fleet', 'the history of all replicas on one etcd, which any of them reads')
}

const pathOf = ({ fleet }: Flags, ...parts: readonly string[]): string =>
  [fleet ? '/api/fleet/snapshots' : '/api/snapshots', ...parts.map(encodeURIComponent)].join('/')

const listHelp = `
+ added, ~ changed, - removed. A revision is one change of what is in force, on
this server, or with --fleet one that the leader of all replicas wrote down;
versions (of \`fairlead nodes\`) are the same on every server.
`

const diffHelp = `
  fairlead snapshots diff 4         from revision 4 to the newest
  fairlead snapshots diff 4 5       what revision 5 changed
`

export function snapshotsCommand(io: Io): Command {
  const command = new Command('snapshots')
    .description('look into the history of what was in force (list, show, diff)')
    .helpCommand(false)
  command.addCommand(
    withServer(new Command('list').description('list the revisions, newest first'), io)
      .addHelpText('after', listHelp)
      .action(async (flags: Flags) => {
        const answer = await askServer<{ revisions: RevisionSummary[] }>(flags.server, pathOf(flags), io.signal)
        if (flags.json) return printJson(io, answer)
        const { revisions } = answer
        print(io, revisions.length === 0 ? 'No revision yet: nothing has been in force.' : formatRevisions(revisions))
      }),
  )
  command.addCommand(
    withServer(new Command('show').description('show what was in force at a revision'), io)
      .addArgument(argument('[REVISION]', 'a number of `snapshots list`', 'latest'))
      .action(async (revision: string, flags: Flags) => {
        const detail = await askServer<RevisionJson>(flags.server, pathOf(flags, revision), io.signal)
        if (flags.json) return printJson(io, detail)
        print(io, formatRevision(detail))
      }),
  )
  command.addCommand(
    withServer(new Command('diff').description('show what changed from one revision to another'), io)
      .addArgument(argument('<FROM>', 'a number of `snapshots list`'))
      .addArgument(argument('[TO]', 'another', 'latest'))
      .addHelpText('after', diffHelp)
      .action(async (from: string, to: string, flags: Flags) => {
        const diff = await askServer<DiffJson>(flags.server, pathOf(flags, from, 'diff', to), io.signal)
        if (flags.json) return printJson(io, diff)
        print(io, formatDiff(diff, { color: io.out.isTTY === true }))
      }),
  )
  return command
}

function formatRevisions(revisions: readonly RevisionSummary[]): string {
  const rows = revisions.map(({ revision, time, counts, documents }) => [
    String(revision),
    timeText(time),
    counts.map(formatCounts).join(', ') || '-',
    formatDocuments(documents),
  ])
  return formatTable(['revision', 'time', 'changes', 'because of'], rows)
}

/** `cluster +1 ~2 -3`: added, changed, removed. */
function formatCounts({ word, added, changed, removed }: RevisionSummary['counts'][number]): string {
  const parts = [added > 0 && `+${added}`, changed > 0 && `~${changed}`, removed > 0 && `-${removed}`]
  return [word, ...parts.filter((part) => part !== false)].join(' ')
}

function formatDocuments({ count, names: [first] }: RevisionSummary['documents']): string {
  if (first === undefined) return '-'
  return count > 1 ? `${first} and ${count - 1} more` : first
}

function formatRevision(revision: RevisionJson): string {
  const rows = revision.inForce.flatMap(({ nodes, resources }) =>
    resources.map(({ type, name, version, place }) => [type, name, version.slice(0, 8), formatNodes(nodes), place]),
  )
  const head = `revision ${revision.revision} of ${timeText(revision.time)}, because of ${formatDocuments(revision.documents)}`
  if (rows.length === 0) return `${head}\n\nNothing was in force.`
  return `${head}\n\n${formatTable(['type', 'name', 'version', 'nodes', 'from'], rows)}`
}

function formatNodes(nodes: readonly unknown[]): string {
  return nodes.length === 0 ? 'every node' : (nodes as readonly NodeSelector[]).map(selectorLabel).join(' or ')
}

/** Longer values are cut: they are there to be recognized; `--json` has them whole. */
const maxValueLength = 100

/** What is gone, what is new, and of what changed each value that differs. */
function formatDiff(diff: DiffJson, options: { readonly color: boolean }): string {
  const color = pc.createColors(options.color)
  const line = ({ type, name, place }: ResourceJson): string => `${type} ${name}  ${color.dim(place)}`
  const lines = diff.types.flatMap(({ added, changed, removed }) => [
    ...removed.map((resource) => `${color.red('-')} ${line(resource)}`),
    ...added.map((resource) => `${color.green('+')} ${line(resource)}`),
    ...changed.flatMap(({ before, after }) => [
      `${color.yellow('~')} ${line(after)}`,
      ...formatChanges(before, after).map((change) => `    ${change}`),
    ]),
  ])
  const { from, to } = diff
  const head = `revision ${from.revision} of ${timeText(from.time)} -> ${to.revision} of ${timeText(to.time)}`
  return lines.length === 0 ? `${head}: no difference` : `${head}\n\n${lines.join('\n')}`
}

function formatChanges(before: ResourceJson, after: ResourceJson): readonly string[] {
  const lines = diffValues(before.resource, after.resource).map((difference) => {
    const { path } = difference
    if (!('before' in difference)) return `${path}: ${valueText(difference.after)} added`
    if (!('after' in difference)) return `${path}: ${valueText(difference.before)} removed`
    return `${path}: ${valueText(difference.before)} -> ${valueText(difference.after)}`
  })
  return lines.length > 0 ? lines : ['in redacted content, aliases or TTL only']
}

function valueText(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > maxValueLength ? `${text.slice(0, maxValueLength)}…` : text
}
