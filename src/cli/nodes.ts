import { Command } from 'commander'
import { formatOrigin } from '../errors.ts'
import { someOf } from '../xds/rejection/rejection-problem.ts'
import type { NodeStatus, RejectedStatus, TypeStatus } from '../xds/status.ts'
import { counted, type Io, print, printJson } from './io.ts'
import { jsonOption } from './option.ts'
import { askServer, serverOption } from './server-client.ts'
import { formatTable } from './table.ts'

const help = `
A type is \`in sync\` when the Envoy accepted the last version that it was sent,
\`waiting\` until it answers (it does not while a cluster warms), and REJECTED
when it refused something of it: that it is not sent again until it changes,
and all else is. An Envoy that has other versions than this server is
\`held back\` until it is known that nothing is newer.
`

export function nodesCommand(io: Io): Command {
  return new Command('nodes')
    .description('show who is connected, and what each was sent, accepted and rejected')
    .argument('[ID]', 'one node only, in full')
    .addOption(serverOption(io))
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (id: string | undefined, flags: { server: string; json?: true }) => {
      const answer = await askServer<{ nodes: NodeStatus[] }>(flags.server, '/api/nodes', io.signal)
      const nodes = answer.nodes.filter((node) => id === undefined || node.id === id)
      if (flags.json) return printJson(io, { nodes })
      if (nodes.length === 0) return print(io, nobody(id))
      print(io, id === undefined ? formatNodes(nodes) : nodes.map(formatNode).join('\n\n'))
    })
}

function nobody(id: string | undefined): string {
  return id === undefined
    ? 'No node is connected. Start one: envoy -c <(fairlead bootstrap --id edge-1 --cluster edge)'
    : `No node with the id ${id} is connected; \`fairlead nodes\` lists those that are.`
}

/** One row for each type of each node; what is wrong follows below, with Envoy's own words. */
function formatNodes(nodes: readonly NodeStatus[]): string {
  const rows = nodes.flatMap((node) => {
    const types = Object.entries(node.types)
    const first = [node.id, node.cluster, node.group, node.protocol]
    if (types.length === 0) return [[...first, '-', '-', '-', isHeldBack(node) ? 'held back' : 'asked for nothing yet']]
    return types.map(([type, status], index) => [
      ...(index === 0 ? first : ['', '', '', '']),
      type,
      short(status.sent),
      short(status.acked),
      stateOf(type, status, node),
    ])
  })
  const table = formatTable(['node', 'cluster', 'group', 'protocol', 'type', 'sent', 'accepted', 'state'], rows)
  return [table, ...complaints(nodes)].join('\n\n')
}

/** One node, with every version in full. */
function formatNode(node: NodeStatus): string {
  const rows = Object.entries(node.types).map(([type, status]) => [
    type,
    status.isWildcard ? 'everything' : counted(status.names, 'name'),
    status.sent ?? '-',
    status.acked === status.sent ? 'the same' : (status.acked ?? '-'),
    stateOf(type, status, node),
  ])
  const who = [`${node.id}  cluster ${node.cluster || '-'}, gets what is for ${node.group || 'nobody'}`]
  who.push(
    `${node.userAgent || 'unknown client'} from ${node.peer}, ${node.protocol}, since ${timeText(node.connectedAt)}`,
  )
  const nothing = isHeldBack(node) ? 'It is told nothing yet.' : 'It asked for nothing yet.'
  const table = rows.length === 0 ? nothing : formatTable(['type', 'asked for', 'sent', 'accepted', 'state'], rows)
  return [who.join('\n'), table, ...complaints([node])].join('\n\n')
}

/** What is wrong, each once, however many nodes it concerns. */
function complaints(nodes: readonly NodeStatus[]): string[] {
  const rejected = rejectedResources(nodes)
  const unnamed = nodes.flatMap((node) =>
    Object.entries(node.types).flatMap(([type, { nacked, acked }]) => {
      if (nacked === undefined || node.rejected.some((one) => one.type === type)) return []
      const keeps = acked === undefined ? 'has none' : `goes on with ${short(acked)}`
      const head = `${node.id} rejected ${type} ${short(nacked.version)} at ${timeText(nacked.at)}, and ${keeps}:`
      return [`${head}\n${indented(nacked.message)}`]
    }),
  )
  const held = nodes.filter(isHeldBack)
  const warnings = nodes.flatMap((node) => [...new Set(node.warnings)].map((warning) => `${node.id}: ${warning}`))
  const hasRejections = rejected.length + unnamed.length > 0
  return [
    ...rejected,
    ...unnamed,
    ...(hasRejections
      ? ['Mend what Envoy names. To ask an Envoy beforehand: fairlead validate PATH --envoy BINARY']
      : []),
    ...(held.length > 0 ? [heldBackText(held)] : []),
    ...(warnings.length > 0 ? [warnings.join('\n')] : []),
  ]
}

const isHeldBack = ({ heldBackSince }: NodeStatus): boolean => heldBackSince !== undefined

function heldBackText(nodes: readonly NodeStatus[]): string {
  const [since = ''] = nodes.flatMap(({ heldBackSince = '' }) => heldBackSince).sort()
  const who = someOf([...new Set(nodes.map(({ id }) => id))].sort())
  const go = nodes.length === 1 ? 'goes' : 'go'
  return [
    `Held back since ${timeText(since)}: ${who} ${go} on with what came from another server`,
    'until it is known that nothing is newer than what is in force here.',
    'If that lasts, see whether this server reaches etcd, and finds documents: fairlead_source_up, /ready.',
  ].join('\n')
}

/** By place, so that an editor or a terminal leads there. */
function rejectedResources(nodes: readonly NodeStatus[]): string[] {
  const groups = new Map<string, { readonly rejected: RejectedStatus; readonly ids: Set<string> }>()
  for (const { id, rejected } of nodes) {
    for (const one of rejected) {
      const key = [one.type, one.name, one.version, one.keeps, one.message].join('\0')
      const group = groups.get(key) ?? { rejected: one, ids: new Set<string>() }
      groups.set(key, group)
      group.ids.add(id)
    }
  }
  return [...groups.values()].map(({ rejected, ids }) => {
    const { type, name, version, keeps, origin, since, message } = rejected
    const who = `${someOf([...ids].sort())} rejected ${type} "${name}" ${short(version)} at ${timeText(since)}`
    const kept = keptText(keeps, ids.size > 1)
    return `${formatOrigin(origin)}\n${indented(`${who},\n${kept}:`)}\n${indented(indented(message))}`
  })
}

function keptText(keeps: string | null, areMany: boolean): string {
  if (keeps === null) return areMany ? 'and do without it' : 'and does without it'
  const keep = areMany ? 'and keep' : 'and keeps'
  return keeps === 'unknown' ? `${keep} what was there before` : `${keep} ${short(keeps)}`
}

const indented = (text: string): string => text.replaceAll(/^/gm, '  ')

function stateOf(type: string, status: TypeStatus, node: NodeStatus): string {
  if (status.nacked !== undefined || node.rejected.some((one) => one.type === type)) return 'REJECTED'
  if (isHeldBack(node)) return 'held back'
  if (status.sent === undefined) return 'nothing to send'
  return status.sent === status.acked ? 'in sync' : 'waiting'
}

function short(version: string | undefined): string {
  return version === undefined || version === '' ? '-' : version.slice(0, 8)
}

/** `2026-11-21 05:02:00Z` of an RFC 3339 time. */
export function timeText(time: string): string {
  return time.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
}
