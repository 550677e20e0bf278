import { Command } from 'commander'
import type { NodeStatus } from '../xds/status.ts'
import { type Io, print, printJson } from './io.ts'
import { askServer, defaultServer } from './server-client.ts'
import { formatTable } from './table.ts'

export function nodesCommand(io: Io): Command {
  return new Command('nodes')
    .description('show who is connected, and per type what was sent, accepted and rejected')
    .argument('[id]', 'one node only, with every version in full')
    .option('--server <url>', "the control plane's admin address", defaultServer)
    .option('--json', 'print JSON')
    .action(async (id: string | undefined, flags: { server: string; json?: true }) => {
      const answer = await askServer<{ nodes: NodeStatus[] }>(flags.server, '/api/nodes', io.signal)
      const nodes = answer.nodes.filter((node) => id === undefined || node.id === id)
      if (flags.json) return printJson(io, { nodes })
      print(io, nodes.length === 0 ? nobody(id) : formatNodes(nodes))
    })
}

function nobody(id: string | undefined): string {
  return id === undefined
    ? 'no node is connected. Start one: envoy -c <(fairlead bootstrap --id edge-1 --cluster edge)'
    : `no node with id ${id} is connected; \`fairlead nodes\` lists those that are`
}

/** One row for each type of each node; what was rejected follows below, with Envoy's own words. */
export function formatNodes(nodes: readonly NodeStatus[]): string {
  const rows = nodes.flatMap((node) => {
    const types = Object.entries(node.types)
    const first = [node.id, node.cluster, node.group, node.protocol]
    if (types.length === 0) return [[...first, '-', '-', '-', 'asked for nothing yet']]
    return types.map(([type, status], index) => [
      ...(index === 0 ? first : ['', '', '', '']),
      type,
      short(status.sent),
      short(status.acked),
      stateOf(status),
    ])
  })
  const rejections = nodes.flatMap((node) =>
    Object.entries(node.types).flatMap(([type, { nacked }]) =>
      nacked === undefined ? [] : [`${node.id} rejected ${type} ${short(nacked.version)}: ${nacked.message}`],
    ),
  )
  const table = formatTable(['node', 'cluster', 'group', 'protocol', 'type', 'sent', 'accepted', 'state'], rows)
  return rejections.length === 0 ? table : `${table}\n\n${rejections.join('\n')}`
}

function stateOf(status: NodeStatus['types'][string]): string {
  if (status.nacked !== undefined) return 'REJECTED'
  if (status.sent === undefined) return 'nothing to send'
  return status.sent === status.acked ? 'in sync' : 'waiting'
}

function short(version: string | undefined): string {
  return version === undefined || version === '' ? '-' : version.slice(0, 8)
}
