import { isIP } from 'node:net'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type KindDocument, kindOf } from '../config/kinds/kind-document.ts'
import type { ServiceForm } from '../config/kinds/service-form.ts'
import type { SidecarForm } from '../config/kinds/sidecar-form.ts'
import { parseDocument } from '../config/parse-document.ts'
import { ControlPlaneError, formatOrigin } from '../errors.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { nearestName } from '../resource/json/near-name.ts'
import { captureRules } from './capture-rules.ts'
import { type Io, print } from './io.ts'
import { append, repeatable } from './option.ts'
import { readDocuments } from './read-documents.ts'

interface Flags {
  readonly sidecar: string
  readonly config: readonly string[]
  readonly uid?: number
  readonly gid?: number
  readonly excludePort?: readonly number[]
  readonly excludeCidr?: readonly string[]
  readonly ipv6?: true
  readonly refresh?: true
  readonly remove?: true
}

const help = `
For a Sidecar with \`capture: iptables\`, as root, in the network namespace of
the workload, Envoy running as a user of its own:
  fairlead capture --sidecar cart --config ./config --uid 1337 |
    iptables-restore --noflush

What the workload calls goes to the Sidecar's outbound port, what comes in for
the ports of its \`inbound\` to those it has there. All else stays as it was:
other ports, UDP, loopback, and whatever Envoy itself sends. IPv6 is captured by
rules of its own, for a Sidecar with \`ipv6: true\`:
  fairlead capture --ipv6 --sidecar cart --config ./config --uid 1337 |
    ip6tables-restore --noflush

Rules that are in place are replaced with --refresh, and taken out with
--remove; both are \`iptables-restore\` input as well.
`

export function captureCommand(io: Io): Command {
  return new Command('capture')
    .description('print the iptables rules by which the connections of a workload come to its Sidecar')
    .addOption(new Option('--sidecar <NAME>', 'the Sidecar').makeOptionMandatory())
    .addOption(repeatable('--config <PATH>', 'the directory or file that it stands in').makeOptionMandatory())
    .addOption(new Option('--uid <ID>', 'the user that Envoy runs as').argParser(idOf))
    .addOption(new Option('--gid <ID>', 'the group that Envoy runs as').argParser(idOf))
    .addOption(
      repeatable('--exclude-port <PORT>', 'the workload calls this port itself').argParser(
        (text: string, before: readonly number[] | undefined) => [...(before ?? []), portOf(text)],
      ),
    )
    .addOption(
      repeatable('--exclude-cidr <NETWORK>', 'the workload calls these addresses itself').argParser(
        (text: string, before: readonly string[] | undefined) => append(networkOf(text), before),
      ),
    )
    .addOption(new Option('--ipv6', 'the rules of IPv6, for ip6tables-restore'))
    .addOption(new Option('--refresh', 'of chains that are in place, the rules alone').conflicts('remove'))
    .addOption(new Option('--remove', 'take the chains out'))
    .addHelpText('after', help)
    .action(async (flags: Flags) => {
      const { uid, gid } = flags
      if (flags.remove !== true && uid === undefined && gid === undefined) {
        const message = 'give --uid or --gid: what Envoy sends would come back to it without end'
        throw new ControlPlaneError('usage', message)
      }
      const { sidecar, place, services } = await readSidecar(flags, io)
      if (flags.ipv6 === true && flags.remove !== true && sidecar.ipv6 !== true) {
        const message = `${place}: the Sidecar ${sidecar.name} has no \`ipv6: true\`, so it does not listen for what is captured`
        throw new ControlPlaneError('config', message)
      }
      const rules = captureRules({
        sidecar,
        place,
        services,
        ...(uid !== undefined && { uid }),
        ...(gid !== undefined && { gid }),
        excludedPorts: flags.excludePort ?? [],
        excludedNetworks: flags.excludeCidr ?? [],
        family: flags.ipv6 === true ? 6 : 4,
        mode: flags.remove ? 'remove' : flags.refresh ? 'refresh' : 'apply',
      })
      print(io, rules)
    })
}

interface Found {
  readonly sidecar: SidecarForm
  readonly place: string
  readonly services: readonly ServiceForm[]
}

async function readSidecar({ sidecar: name, config }: Flags, io: Io): Promise<Found> {
  const api = loadEnvoyApi()
  const readings = await Promise.all(config.map((path) => readDocuments(path, io.signal)))
  const parsed = readings.flatMap(({ documents }) => documents.map((document) => parseDocument(api, document)))
  const kinds = parsed.flatMap(({ documents }) =>
    documents.flatMap(({ resources: [first] }) => (first === undefined ? [] : (kindOf(first) ?? []))),
  )
  const sidecars = kinds.filter((one): one is KindDocument<SidecarForm> => one.form.kind === 'Sidecar')
  const found = sidecars.find(({ form }) => form.name === name)
  if (found === undefined) {
    const near = nearestName(
      name,
      sidecars.map(({ form }) => form.name),
    )
    const hint = near === undefined ? 'fairlead validate tells what is wrong there' : `did you mean ${near}?`
    throw new ControlPlaneError('config', `there is no Sidecar ${name} in ${config.join(', ')}: ${hint}`)
  }
  const place = formatOrigin(found.origin)
  if (found.form.capture !== 'iptables') {
    const message = `${place}: the Sidecar ${name} has no \`capture: iptables\`, so it does not listen for what is captured`
    throw new ControlPlaneError('config', message)
  }
  const services = kinds.flatMap(({ form }) => (form.kind === 'Service' ? form : []))
  return { sidecar: found.form, place, services }
}

function idOf(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('Write the number: `id -u envoy` prints it.')
  return Number(text)
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError('Write a port: 1 to 65535.')
  return port
}

function networkOf(text: string): string {
  const [address = '', bits, ...rest] = text.split('/')
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  const isNetwork =
    rest.length === 0 && most > 0 && (bits === undefined || (/^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= most))
  if (!isNetwork) throw new InvalidArgumentError('Write an IPv4 network: 10.0.0.0/8, or one of IPv6: fd00::/8.')
  return text
}
