import { isIP } from 'node:net'
import { Command, Option } from 'commander'
import { ControlPlaneError } from '../errors.ts'
import { type BootstrapOptions, buildBootstrap } from './bootstrap-config.ts'
import { type Io, printJson } from './io.ts'
import { option, repeatable } from './option.ts'

interface Flags {
  readonly id: string
  readonly cluster: string
  readonly server?: readonly string[]
  readonly delta?: true
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly adminPort: string
  readonly adminAddress: string
  readonly metadata?: string
  readonly service?: string
  readonly region?: string
  readonly zone?: string
  readonly subZone?: string
}

const defaultServer = '127.0.0.1:18000'

const help = `
The output is JSON, which Envoy reads as it is:
  fairlead bootstrap --id edge-1 --cluster edge > envoy.json
  envoy -c envoy.json

Documents say which Envoys they are for, by what is given here:
  nodes: {cluster: edge}
  nodes: {id: "edge-*"}
  nodes: {metadata: {env: prod}}      --metadata '{"env": "prod"}'

With several replicas it takes one, and the next when that is lost:
  fairlead bootstrap … --server cp-1.example:18000 --server cp-2.example:18000

Where it runs says which endpoints it calls first: those of its region, and of
these the ones in its zone, if it knows the Service that it is in front of:
  fairlead bootstrap --id cart-1 --cluster cart --service cart --zone a
Say the same of it as its endpoint in that Service does.
`

export function bootstrapCommand(io: Io): Command {
  return new Command('bootstrap')
    .description('print the bootstrap by which a stock Envoy gets everything else from here')
    .addOption(new Option('--id <ID>', 'node.id: unique in the fleet').makeOptionMandatory())
    .addOption(
      new Option('--cluster <NAME>', 'node.cluster: the group of Envoys that this one is of').makeOptionMandatory(),
    )
    .addOption(
      repeatable(
        '--server <HOST:PORT>',
        `where the Envoy reaches the xDS address of \`serve\` (default: ${defaultServer}); one for each replica`,
      ),
    )
    .addOption(new Option('--delta', 'speak the delta protocol (good for large fleets)'))
    .addOption(
      new Option('--tls-ca <FILE>', 'speak TLS; the CA bundle that vouches for the server, as a path where Envoy runs'),
    )
    .addOption(new Option('--tls-cert <FILE>', "the Envoy's own certificate, for mutual TLS"))
    .addOption(new Option('--tls-key <FILE>', 'the key of --tls-cert'))
    .addOption(option('--admin-port <PORT>', "Envoy's own admin port; 0 takes a free one", '9901'))
    .addOption(option('--admin-address <IP>', "Envoy's own admin address", '127.0.0.1'))
    .addOption(new Option('--metadata <JSON>', 'node.metadata'))
    .addOption(
      new Option('--service <NAME>', 'the Service that it is itself in front of: with it, zones are preferred'),
    )
    .addOption(new Option('--region <NAME>', 'node.locality.region: where it runs'))
    .addOption(new Option('--zone <NAME>', 'node.locality.zone'))
    .addOption(new Option('--sub-zone <NAME>', 'node.locality.sub_zone'))
    .addHelpText('after', help)
    .action((flags: Flags) => {
      check(flags)
      printJson(
        io,
        buildBootstrap({
          id: flags.id,
          cluster: flags.cluster,
          server: flags.server ?? defaultServer,
          delta: flags.delta ?? false,
          adminPort: Number(flags.adminPort),
          adminAddress: flags.adminAddress,
          ...(flags.tlsCa !== undefined && { tlsCa: flags.tlsCa }),
          ...(flags.tlsCert !== undefined && { tlsCert: flags.tlsCert }),
          ...(flags.tlsKey !== undefined && { tlsKey: flags.tlsKey }),
          ...(flags.metadata !== undefined && { metadata: parseMetadata(flags.metadata) }),
          ...(flags.service !== undefined && { service: flags.service }),
          ...localityOf(flags),
        }),
      )
    })
}

function localityOf({ region, zone, subZone }: Flags): Pick<BootstrapOptions, 'locality'> {
  if (region === undefined && zone === undefined && subZone === undefined) return {}
  return {
    locality: {
      ...(region !== undefined && { region }),
      ...(zone !== undefined && { zone }),
      ...(subZone !== undefined && { subZone }),
    },
  }
}

/** In the words of the command line, what would otherwise be said by Envoy, or by the server's refusal. */
function check(flags: Flags): void {
  const fail = (message: string): never => {
    throw new ControlPlaneError('usage', message)
  }
  if (flags.id === '') fail('--id is empty: give the Envoy a name that no other has')
  if (!/^\d{1,5}$/.test(flags.adminPort) || Number(flags.adminPort) > 65_535) {
    fail(`--admin-port ${flags.adminPort} is not a port from 0 to 65535`)
  }
  if (isIP(flags.adminAddress) === 0) fail(`--admin-address ${flags.adminAddress} is not an IP address`)
  if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined)) {
    fail('--tls-cert and --tls-key go together: give both')
  }
  if (flags.tlsCert !== undefined && flags.tlsCa === undefined) {
    fail('--tls-cert needs --tls-ca, too: without the CA of the server there is no TLS')
  }
}

function parseMetadata(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Said below, with an example.
  }
  throw new ControlPlaneError('usage', `--metadata must be a JSON object, such as '{"env": "prod"}'`)
}
