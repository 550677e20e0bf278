import { Argument, Command, Option } from 'commander'
import type { RevisionJson } from '../admin/revision-json.ts'
import { kindOf } from '../config/kinds/kind-document.ts'
import { ControlPlaneError, formatOrigin, isError } from '../errors.ts'
import { answerOf } from '../request/answer-request.ts'
import { type ProxyResources, proxyResources, proxyResourcesOf } from '../request/proxy-resources.ts'
import type { RequestAnswer, RequestQuestion } from '../request/request-question.ts'
import { bootstrapCluster } from '../resource/bootstrap-cluster.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { type Node, nodeOfJson } from '../resource/node.ts'
import { matchesNode, type NodeSelector } from '../resource/node-selector.ts'
import { counted, exitCodes, type Io, print, printJson } from './io.ts'
import {
  allowFileOption,
  envoyApiOption,
  jsonOption,
  type Pair,
  repeatable,
  repeatablePair,
  staticOption,
} from './option.ts'
import { readWorld } from './read-world.ts'
import { formatRouteAnswer, type PlaceOf } from './route-text.ts'
import { askServer, serverOption } from './server-client.ts'

const help = `
What the proxy would do, by the very resources that it is sent; nothing is sent
to it, and it need not run. \`nearest\` is the rule that lacked least.

  fairlead route --node edge https://shop.example/cart -H 'x-group: beta'
  fairlead route --node edge POST http://cart:8080/api --config ./config
  fairlead route --node edge --tcp 10.0.0.9:5432

Without --config, the server at --server is asked for what is in force.
Exit code 0: something takes it; 1: nothing does (404, or the connection is
closed); 2: wrong use; 3: no server answers.
`

interface Flags {
  readonly node: string
  readonly id?: string
  readonly metadata?: readonly Pair[]
  readonly region?: string
  readonly config?: readonly string[]
  readonly allowFile?: readonly string[]
  readonly static?: readonly string[]
  readonly server: string
  readonly header?: readonly Pair[]
  readonly at?: string
  readonly tcp?: string
  readonly sni?: string
  readonly envoyApi?: string
  readonly json?: true
}

export function routeCommand(io: Io, finish: (exitCode: number) => void): Command {
  return new Command('route')
    .description('say which listener, route, cluster and endpoints a request takes, and what the nearest rule lacked')
    .usage('[options] [METHOD] URL')
    .addArgument(new Argument('[REQUEST...]', 'GET https://cart/api; the method is GET unless given'))
    .addOption(new Option('--node <CLUSTER>', 'the proxy, by its `node.cluster`').makeOptionMandatory())
    .addOption(new Option('--id <ID>', 'its `node.id`, where selectors ask for it'))
    .addOption(repeatablePair('--metadata <KEY=VALUE>', 'of its `node.metadata`'))
    .addOption(new Option('--region <NAME>', 'the region that it is in'))
    .addOption(repeatable('--config <PATH>', 'a directory or file to read, in place of asking a server'))
    .addOption(allowFileOption())
    .addOption(staticOption())
    .addOption(serverOption(io))
    .addOption(repeatablePair('-H, --header <NAME: VALUE>', 'a header of the request', ':'))
    .addOption(new Option('--at <LISTENER>', 'at this listener; by default at the one of the port'))
    .addOption(new Option('--tcp <HOST:PORT>', 'a connection instead of a request'))
    .addOption(new Option('--sni <NAME>', 'the server name of its TLS hello; by default the host of the URL'))
    .addOption(envoyApiOption())
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (request: readonly string[], flags: Flags) => {
      const question = questionOf(request, flags)
      const { resources, placeOf } =
        flags.config === undefined ? await fromServer(flags, io) : await fromFiles(flags.config, flags, io)
      const answer = answerOf(resources, question)
      if (flags.json) printJson(io, { node: nodeOf(flags), request: question, ...answer })
      else print(io, formatRouteAnswer(answer, placeOf))
      if (!isTaken(answer)) finish(exitCodes.config)
    })
}

const isTaken = ({ outcomes }: RequestAnswer): boolean =>
  outcomes.some(({ action }) => action !== 'not-found' && action !== 'closed')

interface Read {
  readonly resources: ProxyResources
  readonly placeOf: PlaceOf
}

function questionOf(request: readonly string[], { tcp, sni, header = [], at }: Flags): RequestQuestion {
  const headers = header.map(([name, value]) => [name.trim(), value.trim()] as const)
  const common = { headers, ...(at !== undefined && { listener: at }), ...(sni !== undefined && { sni }) }
  if (tcp !== undefined) {
    if (request.length > 0)
      throw new ControlPlaneError('usage', '--tcp is about a connection: leave out METHOD and URL')
    const port = Number(/:(\d{1,5})$/.exec(tcp)?.[1] ?? Number.NaN)
    if (!(port <= 65_535)) throw new ControlPlaneError('usage', `--tcp ${tcp} is not HOST:PORT`)
    return { ...common, scheme: 'tcp', method: '', authority: tcp, path: '', port }
  }
  const [first = '', second] = request
  const [method, url] = second === undefined ? ['GET', first] : [first, second]
  const parts = /^(https?):\/\/([^/?#]+)([^#]*)/.exec(url)
  if (request.length > 2 || parts === null || !/^[A-Za-z]+$/.test(method)) {
    const given = request.length === 0 ? 'no request' : `"${request.join(' ')}"`
    throw new ControlPlaneError('usage', `${given} is not [METHOD] URL, as in: POST https://cart/api`)
  }
  const [, scheme, authority = '', rest = ''] = parts
  const port = /:(\d{1,5})$/.exec(authority)?.[1]
  return {
    ...common,
    scheme: scheme as 'http' | 'https',
    method: method.toUpperCase(),
    authority,
    path: rest.startsWith('/') ? rest : `/${rest}`,
    ...(port !== undefined && { port: Number(port) }),
  }
}

function nodeOf({ node, id, metadata = [], region }: Flags): Node {
  return nodeOfJson({
    id: id ?? node,
    cluster: node,
    metadata: Object.fromEntries(metadata),
    ...(region !== undefined && { locality: { region } }),
  })
}

async function fromFiles(paths: readonly string[], flags: Flags, io: Io): Promise<Read> {
  const api = loadEnvoyApi(flags.envoyApi)
  const ownClusters = ownClustersOf(flags)
  const world = await readWorld(api, paths, {
    allowed: flags.allowFile ?? [],
    staticClusters: ownClusters,
    signal: io.signal,
  })
  const errors = world.problems.filter(isError)
  if (errors.length > 0) {
    const what = counted(errors.length, 'error')
    io.err.write(`${what} in ${paths.join(', ')}: what is wrong is left out; see fairlead validate\n`)
  }
  const snapshot = world.snapshotFor(nodeOf(flags))
  const routes = [...world.inForce.values()].flatMap(({ resources: [resource] }) => {
    const document = resource === undefined ? undefined : kindOf(resource)
    return document?.form.kind === 'Route' ? [document] : []
  })
  const placeOf: PlaceOf = (route, rule) => {
    const document = routes.find(({ form }) => form.name === route)
    if (document?.form.kind !== 'Route') return undefined
    const index = document.form.rules.findIndex(({ name }, at) => (name ?? String(at)) === rule)
    const { line, column } = document.places.at(`rules[${index}]`) ?? document.origin
    return formatOrigin({ ...document.origin, ...(line !== undefined && { line, column: column ?? 1 }) })
  }
  return {
    resources: snapshot === undefined ? proxyResourcesOf([]) : proxyResources(api, snapshot, ownClusters),
    placeOf,
  }
}

const ownClustersOf = ({ static: given = [] }: Flags): readonly string[] => [bootstrapCluster, ...given]

async function fromServer(flags: Flags, io: Io): Promise<Read> {
  const revision = await askServer<RevisionJson>(flags.server, '/api/snapshots/latest', io.signal)
  const node = nodeOf(flags)
  const units = revision.inForce.filter(({ nodes }) => {
    return nodes.length === 0 || (nodes as readonly NodeSelector[]).some((selector) => matchesNode(selector, node))
  })
  const all = units.flatMap(({ resources }) => resources)
  const routes = new Map(revision.inForce.flatMap(({ resources }) => resources.map((one) => [keyOf(one), one.place])))
  return {
    resources: proxyResourcesOf(
      all.map(({ type, name, resource }) => ({ type, name, json: resource })),
      ownClustersOf(flags),
    ),
    placeOf: (route) => routes.get(keyOf({ type: 'Route', name: route })),
  }
}

const keyOf = ({ type, name }: { readonly type: string; readonly name: string }): string => `${type}\0${name}`
