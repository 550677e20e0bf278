import { Command } from 'commander'
import type { DiffJson, ResourceJson, RevisionJson } from '../admin/revision-json.ts'
import type { RevisionSummary } from '../snapshot/history-record.ts'
import { type Io, print, printJson } from './io.ts'
import { askServer, defaultServer } from './server-client.ts'
import { formatTable } from './table.ts'

interface Flags {
  readonly server: string
  readonly json?: true
}

const withServer = (command: Command): Command =>
  command.option('--server <url>', "the control plane's admin address", defaultServer).option('--json', 'print JSON')

export function snapshotsCommand(io: Io): Command {
  const command = new Command('snapshots').description('look into the history of the configuration')
  command.addCommand(
    withServer(new Command('list').description('list the revisions, newest first')).action(async (flags: Flags) => {
      const { revisions } = await askServer<{ revisions: RevisionSummary[] }>(flags.server, '/api/snapshots', io.signal)
      if (flags.json) return printJson(io, { revisions })
      if (revisions.length === 0) return print(io, 'no revision yet: nothing has been in force')
      print(io, formatRevisions(revisions))
    }),
  )
  command.addCommand(
    withServer(new Command('show').description('show what was in force at a revision'))
      .argument('<revision>', 'a number of `snapshots list`, or `latest`')
      .action(async (revision: string, flags: Flags) => {
        const path = `/api/snapshots/${encodeURIComponent(revision)}`
        const detail = await askServer<RevisionJson>(flags.server, path, io.signal)
        if (flags.json) return printJson(io, detail)
        print(io, formatRevision(detail))
      }),
  )
  command.addCommand(
    withServer(new Command('diff').description('show what changed from one revision to another'))
      .argument('<from>', 'a number of `snapshots list`')
      .argument('[to]', 'another; the newest if absent', 'latest')
      .action(async (from: string, to: string, flags: Flags) => {
        const path = `/api/snapshots/${encodeURIComponent(from)}/diff/${encodeURIComponent(to)}`
        const diff = await askServer<DiffJson>(flags.server, path, io.signal)
        if (flags.json) return printJson(io, diff)
        print(io, formatDiff(diff))
      }),
  )
  return command
}

function formatRevisions(revisions: readonly RevisionSummary[]): string {
  const rows = revisions.map(({ revision, time, counts, documents }) => [
    String(revision),
    time.replace('T', ' ').replace(/\.\d+Z$/, 'Z'),
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

function formatDocuments({ count, names }: RevisionSummary['documents']): string {
  const shown = names.slice(0, 3)
  const more = count > shown.length ? ` and ${count - shown.length} more` : ''
  return shown.length === 0 ? '-' : `${shown.join(', ')}${more}`
}

function formatRevision(revision: RevisionJson): string {
  const rows = revision.inForce.flatMap(({ nodes, resources }) =>
    resources.map(({ type, name, version, place }) => [type, name, version.slice(0, 8), formatNodes(nodes), place]),
  )
  const head = `revision ${revision.revision} of ${revision.time}, because of ${formatDocuments(revision.documents)}`
  if (rows.length === 0) return `${head}\nnothing was in force`
  return `${head}\n\n${formatTable(['type', 'name', 'version', 'nodes', 'from'], rows)}`
}

function formatNodes(nodes: readonly unknown[]): string {
  return nodes.length === 0 ? 'every node' : nodes.map((selector) => JSON.stringify(selector)).join(' or ')
}

function formatDiff(diff: DiffJson): string {
  const lines = diff.types.flatMap(({ type, added, changed, removed }) => [
    ...removed.map((resource) => `- ${type} ${resource.name}`),
    ...added.map((resource) => `+ ${type} ${resource.name}`),
    ...changed.flatMap(({ before, after }) => [`~ ${type} ${after.name}`, ...changedFields(before, after)]),
  ])
  const head = `revision ${diff.from.revision} -> ${diff.to.revision}`
  return lines.length === 0 ? `${head}: no difference` : `${head}\n${lines.join('\n')}`
}

/** Each value that differs, by its path: enough to see a change of weight or address without reading two documents. */
function changedFields(before: ResourceJson, after: ResourceJson): string[] {
  const olds = leaves(before.resource)
  const news = leaves(after.resource)
  const lines: string[] = []
  for (const path of new Set([...olds.keys(), ...news.keys()])) {
    const [old, now] = [olds.get(path), news.get(path)]
    if (old === now) continue
    lines.push(`    ${path}: ${old ?? '(absent)'} -> ${now ?? '(absent)'}`)
  }
  return lines.length > 0 ? lines : ['    (a difference in redacted content, aliases or TTL)']
}

function leaves(value: unknown, path = '', found: Map<string, string> = new Map()): Map<string, string> {
  if (Array.isArray(value)) for (const [index, item] of value.entries()) leaves(item, `${path}[${index}]`, found)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) leaves(item, path === '' ? key : `${path}.${key}`, found)
  } else if (value !== undefined) found.set(path, JSON.stringify(value))
  return found
}
