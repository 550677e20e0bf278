import { Command } from 'commander'
import { ControlPlaneError } from '../errors.ts'
import { buildBootstrap } from './bootstrap-config.ts'
import { type Io, printJson } from './io.ts'

interface Flags {
  readonly id: string
  readonly cluster: string
  readonly server: string
  readonly delta?: true
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly adminPort: string
  readonly adminAddress: string
  readonly metadata?: string
}

const help = `
The output is JSON, which Envoy reads as it is:
  fairlead bootstrap --id edge-1 --cluster edge > envoy.json && envoy -c envoy.json

--id must be unique in the fleet; --cluster is the group of proxies that \`nodes: {cluster: …}\` selects.
`

export function bootstrapCommand(io: Io): Command {
  return new Command('bootstrap')
    .description('print the bootstrap with which a stock Envoy gets everything else from this control plane')
    .requiredOption('--id <id>', 'node.id: unique in the fleet')
    .requiredOption('--cluster <name>', 'node.cluster: what `nodes: {cluster: …}` selects')
    .option('--server <host:port>', "the control plane's xDS address, as the Envoy reaches it", '127.0.0.1:18000')
    .option('--delta', 'speak the delta protocol (recommended for large fleets)')
    .option(
      '--tls-ca <file>',
      'speak TLS to the control plane; the CA bundle that vouches for it, as a path where Envoy runs',
    )
    .option('--tls-cert <file>', "the proxy's own certificate, for mutual TLS")
    .option('--tls-key <file>', 'the key of --tls-cert')
    .option('--admin-port <port>', "Envoy's own admin port; 0 picks a free one", '9901')
    .option('--admin-address <ip>', "Envoy's own admin address", '127.0.0.1')
    .option('--metadata <json>', 'node.metadata, for `nodes: {metadata: …}`')
    .addHelpText('after', help)
    .action((flags: Flags) => {
      const adminPort = Number(flags.adminPort)
      if (!Number.isInteger(adminPort) || adminPort < 0 || adminPort > 65_535) {
        throw new ControlPlaneError('usage', `--admin-port ${flags.adminPort} is not a port from 0 to 65535`)
      }
      if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined)) {
        throw new ControlPlaneError('usage', '--tls-cert and --tls-key go together: give both')
      }
      printJson(
        io,
        buildBootstrap({
          id: flags.id,
          cluster: flags.cluster,
          server: flags.server,
          delta: flags.delta ?? false,
          adminPort,
          adminAddress: flags.adminAddress,
          ...(flags.tlsCa !== undefined && { tlsCa: flags.tlsCa }),
          ...(flags.tlsCert !== undefined && { tlsCert: flags.tlsCert }),
          ...(flags.tlsKey !== undefined && { tlsKey: flags.tlsKey }),
          ...(flags.metadata !== undefined && { metadata: parseMetadata(flags.metadata) }),
        }),
      )
    })
}

function parseMetadata(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Said below, with an example.
  }
  throw new ControlPlaneError('usage', `--metadata must be a JSON object, e.g. '{"env": "prod"}'`)
}
