import { Command } from 'commander'
import type { ReplicaStatus, ReplicasStatus } from '../admin/server.ts'
import { type Io, print, printJson } from './io.ts'
import { timeText } from './nodes.ts'
import { jsonOption } from './option.ts'
import { askServer, serverOption } from './server-client.ts'
import { formatTable } from './table.ts'

const help = `
CONFIG is a short digest of what a replica serves: replicas that read the same
documents have the same one, but for the moments in which a change is taken.
The leader is the one that does what only one may do: it keeps the last good
documents and the history of all in etcd. When it is gone another leads, within
seconds; no Envoy notices.
`

export function replicasCommand(io: Io): Command {
  return new Command('replicas')
    .description('show which servers share one etcd, who leads them, and whether they serve the same')
    .addOption(serverOption(io))
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (flags: { server: string; json?: true }) => {
      const status = await askServer<ReplicasStatus>(flags.server, '/api/replicas', io.signal)
      if (flags.json) return printJson(io, status)
      print(io, status.self === null ? alone : formatReplicas(status))
    })
}

const alone = 'This server shares nothing with others: it was started without --etcd.'

function formatReplicas({ leader, replicas, isStale }: ReplicasStatus): string {
  const rows = replicas.map((one) => [
    one.isSelf ? `${one.id} (asked)` : one.id,
    one.isLeader ? 'leads' : '-',
    one.version,
    timeText(one.startedAt),
    one.config?.slice(0, 8) ?? '-',
    String(one.streams),
  ])
  const table = formatTable(['replica', 'leader', 'version', 'since', 'config', 'streams'], rows)
  return [table, ...(isStale ? [stale] : remarks(leader, replicas))].join('\n\n')
}

const stale =
  'The list in etcd cannot be renewed: the others are shown as they were, and may be gone. /api/problems says why.'

function remarks(leader: string | null, replicas: readonly ReplicaStatus[]): string[] {
  const configs = new Set(replicas.flatMap(({ config }) => config ?? []))
  const differ =
    'They do not serve the same now. After a change they do in a moment; else /api/problems says what is wrong.'
  const nobody = 'Nobody is known here to lead: /api/problems says why, if that is not just now.'
  return [...(configs.size > 1 ? [differ] : []), ...(leader === null ? [nobody] : [])]
}
