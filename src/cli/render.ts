import { isIP } from 'node:net'
import { Command, Option } from 'commander'
import { directoryOfDocument } from '../attachments.ts'
import { kindOf } from '../config/kinds/kind-document.ts'
import { ControlPlaneError, isError } from '../errors.ts'
import { type EnvoyApi, loadEnvoyApi } from '../resource/envoy-api.ts'
import { nodeOfJson } from '../resource/node.ts'
import { resourceTypes, wordOf } from '../resource/type-url.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import { pathOf } from '../source/read-attached.ts'
import { peersName } from '../translate/names.ts'
import { peersCluster } from './bootstrap-config.ts'
import { fieldsOf, groupResources } from './group-resources.ts'
import { counted, exitCodes, type Io, printJson } from './io.ts'
import { allowFileOption, envoyApiOption, option, type Pair, repeatable, repeatablePair } from './option.ts'
import { formatProblems } from './problem-text.ts'
import { type ReadWorld, readWorld } from './read-world.ts'
import { buildSelfContained, type GroupResources, type JsonObject } from './static-config.ts'

interface Flags {
  readonly config: readonly string[]
  readonly node: string
  readonly id?: string
  readonly metadata?: readonly Pair[]
  readonly service?: string
  readonly region?: string
  readonly zone?: string
  readonly subZone?: string
  readonly allowFile?: readonly string[]
  readonly inlineSecrets?: true
  readonly adminPort: string
  readonly adminAddress: string
  readonly envoyApi?: string
}

const help = `
The output is JSON, which Envoy reads as it is, and needs no server:
  fairlead render --static --node edge --config ./config > envoy.json
  envoy --mode validate -c envoy.json

It does what the same Envoy does with \`fairlead bootstrap\`, until something
changes: endpoints, peers, routes and certificates are those of now. Secrets are
read by Envoy from the files that they name. Its own zone is preferred where it
knows its peers, as there:
  fairlead render --static --node edge --service edge --zone a --config ./config
Exit code 1: a document has errors, or no document is for such an Envoy.
`

export function renderCommand(io: Io, finish: (exitCode: number) => void): Command {
  return new Command('render')
    .description('print one self-contained Envoy configuration, for an Envoy without a control plane')
    .addOption(new Option('--static', 'the form that is printed; there is no other').makeOptionMandatory())
    .addOption(new Option('--node <CLUSTER>', 'the proxy, by its `node.cluster`').makeOptionMandatory())
    .addOption(new Option('--id <ID>', 'its `node.id`; that of the cluster unless given'))
    .addOption(repeatablePair('--metadata <KEY=VALUE>', 'of its `node.metadata`'))
    .addOption(
      new Option('--service <NAME>', 'the Service that it is itself in front of: with it, zones are preferred'),
    )
    .addOption(new Option('--region <NAME>', 'the region that it is in'))
    .addOption(new Option('--zone <NAME>', 'and the zone'))
    .addOption(new Option('--sub-zone <NAME>', 'and the part of that'))
    .addOption(repeatable('--config <PATH>', 'a directory or file of configuration').makeOptionMandatory())
    .addOption(allowFileOption())
    .addOption(
      new Option('--inline-secrets', 'print private keys into the output, in place of the names of their files'),
    )
    .addOption(option('--admin-port <PORT>', "Envoy's own admin port; 0 takes a free one", '9901'))
    .addOption(option('--admin-address <IP>', "Envoy's own admin address", '127.0.0.1'))
    .addOption(envoyApiOption())
    .addHelpText('after', help)
    .action(async (flags: Flags) => {
      check(flags)
      const api = loadEnvoyApi(flags.envoyApi)
      const world = await readWorld(api, flags.config, {
        allowed: flags.allowFile ?? [],
        staticClusters: [],
        signal: io.signal,
      })
      const errors = world.problems.filter(isError)
      if (errors.length > 0) {
        // A part of a configuration is another configuration.
        io.err.write(`${formatProblems(errors, { color: io.err.isTTY === true })}\n`)
        return finish(exitCodes.config)
      }
      printJson(io, render(api, world, flags))
    })
}

function check({ adminPort, adminAddress, node }: Flags): void {
  const fail = (message: string): never => {
    throw new ControlPlaneError('usage', message)
  }
  if (node === '') fail('--node is empty: give the `node.cluster` of the Envoy')
  if (!/^\d{1,5}$/.test(adminPort) || Number(adminPort) > 65_535) {
    fail(`--admin-port ${adminPort} is not a port from 0 to 65535`)
  }
  if (isIP(adminAddress) === 0) fail(`--admin-address ${adminAddress} is not an IP address`)
}

/** @throws ControlPlaneError `config` when there is nothing for the node, or what only a control plane can give. */
function render(api: EnvoyApi, world: ReadWorld, flags: Flags): JsonObject {
  const { node: cluster, id = cluster, service, adminAddress, adminPort } = flags
  const node = nodeOf({ ...flags, id })
  const snapshot = world.snapshotFor(nodeOfJson(node))
  const group = snapshot && groupOf(api, snapshot, world, flags)
  if (group === undefined || (group.listener.length === 0 && group.cluster.length === 0)) {
    throw new ControlPlaneError('config', `no document is for an Envoy with node.cluster ${cluster} and node.id ${id}`)
  }
  const { config, remaining } = buildSelfContained(group, {
    node,
    admin: { address: { socket_address: { address: adminAddress, port_value: Number(adminPort) } } },
    ...(service !== undefined && { peers: { cluster: peersCluster, assignment: peersName(service) } }),
  })
  const [first] = remaining
  if (first === undefined) return config
  const more = remaining.length > 1 ? `, and ${counted(remaining.length - 1, 'place')} more` : ''
  throw new ControlPlaneError(
    'config',
    `a static configuration cannot hold what is asked of a control plane at ${first}${more}`,
  )
}

/** As `fairlead bootstrap` has it. */
function nodeOf({
  id,
  node: cluster,
  metadata: pairs = [],
  service,
  region,
  zone,
  subZone,
}: Flags & { id: string }): JsonObject {
  const metadata: JsonObject = Object.fromEntries(pairs)
  const own = service !== undefined && { fairlead: { service } }
  const locality = {
    ...(region !== undefined && { region }),
    ...(zone !== undefined && { zone }),
    ...(subZone !== undefined && { sub_zone: subZone }),
  }
  return {
    id,
    cluster,
    ...((pairs.length > 0 || own) && { metadata: { ...metadata, ...own } }),
    ...(Object.keys(locality).length > 0 && { locality }),
  }
}

function groupOf(api: EnvoyApi, snapshot: Snapshot, world: ReadWorld, { inlineSecrets }: Flags): GroupResources {
  const files = inlineSecrets === true ? new Map<string, JsonObject>() : secretFiles(world)
  return groupResources(snapshot, (resource) => {
    const { typeUrl, name, isSensitive, origin } = resource
    const file = typeUrl === resourceTypes.secret.typeUrl ? files.get(name) : undefined
    if (file !== undefined) return file
    if (isSensitive && inlineSecrets !== true) {
      const what = `${wordOf(typeUrl)} ${name} of ${origin.name}`
      throw new ControlPlaneError('config', `${what} holds a key: name its file there, or give --inline-secrets`)
    }
    return fieldsOf(api, resource)
  })
}

/** The documents of kind Secret, as Envoy reads their files itself, by name. */
function secretFiles({ inForce }: ReadWorld): Map<string, JsonObject> {
  const files = new Map<string, JsonObject>()
  for (const { key, origin, resources } of inForce.values()) {
    const [resource] = resources
    const form = resource && kindOf(resource)?.form
    if (form?.kind !== 'Secret') continue
    const directory = directoryOfDocument({ id: key, origin, text: '' }, undefined)
    const source = (file: string): JsonObject => ({ filename: pathOf(file, directory) })
    const { name, certificate, ca } = form
    if (certificate !== undefined) {
      const { chain, key: privateKey } = certificate
      const content = { certificate_chain: source(chain.file), private_key: source(privateKey.file) }
      files.set(name, { name, tls_certificate: content })
    } else if (ca !== undefined) {
      files.set(name, { name, validation_context: { trusted_ca: source(ca.file) } })
    }
  }
  return files
}
