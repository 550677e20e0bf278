import { isDeepStrictEqual } from 'node:util'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { MeshForm } from '../../config/kinds/mesh-form.ts'
import type { RouteForm } from '../../config/kinds/route-form.ts'
import type { SidecarForm } from '../../config/kinds/sidecar-form.ts'
import type { NodeSelector } from '../../resource/node-selector.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { Reads, Rule } from '../cells.ts'
import type {
  Audience,
  HttpFilterKind,
  MeshLayer,
  OutboundEgress,
  OutboundOutput,
  OutboundPort,
  ServiceFacet,
  SidecarOutbound,
} from '../contract.ts'
import { allowedHosts, openEgress, type SaidEgress } from '../egress/allowed-hosts.ts'
import { egressName, outboundName, passthroughName, sharedOutbound } from '../names.ts'
import { layerDefaults } from '../route/layer-defaults.ts'
import { buildOutbound } from '../sidecar/build-outbound.ts'
import { capturedClashesOf } from '../sidecar/captured-clashes.ts'
import { egressPortsOf } from '../sidecar/egress-chains.ts'
import { outboundPortsOf, outsideClashesOf, portClashesOf } from '../sidecar/outbound-ports-of.ts'
import { audienceOf } from './audience.ts'

/** What these rules read of the others. */
export interface OutboundSources {
  readonly facet: Rule<ServiceFacet | undefined>
  readonly meshLayer: Rule<MeshLayer>
  readonly nodes: Rule<readonly NodeSelector[]>
  /** What is made of a document, or of the problem that the builder failed on it. */
  readonly attempted: <T>(document: KindDocument, make: () => T, failed: (problem: PlacedProblem) => T) => T
}

export interface OutboundRules {
  /** Kept for each Service. */
  readonly serviceHosts: Rule<readonly string[]>
  /** Kept for each Route. */
  readonly meshRoute: Rule<MeshRoute | undefined>
  /** Kept for each Sidecar. */
  readonly sidecarKind: Rule<SidecarKind>
  /** A document to tell things of that are nobody's: the Mesh, or else the first Sidecar that may call every Service. */
  readonly anchor: Rule<KindDocument | undefined>
  /** The proxies that may call every Service. */
  readonly untrimmed: Rule<Audience | undefined>
  /** Those of them that say nothing of their own, and so share the routes. */
  readonly sharing: Rule<Audience | undefined>
  /** What all of them share; undefined where there is none. */
  readonly shared: Rule<OutboundOutput | undefined>
  /** The outbound side of one Sidecar, and what of it is its own. */
  outboundOf(read: Reads, sidecar: KindDocument<SidecarForm>): SidecarOutbound & { readonly own?: OutboundOutput }
}

/** A Route for the sidecars: the hosts it is for, and the Services that it names. */
export interface MeshRoute {
  readonly hosts: readonly string[]
  readonly services: readonly string[]
}

export interface SidecarKind {
  /** It takes what all share. */
  readonly isShared: boolean
  readonly isUntrimmed: boolean
  readonly capture: 'iptables' | 'ports'
}

/** What a sidecar may call, and by which routes. Those that may call everything share what is made of everything. */
export function outboundRules({ facet, meshLayer, nodes, attempted }: OutboundSources): OutboundRules {
  const serviceHosts: Rule<readonly string[]> = {
    name: 'service hosts',
    level: 1,
    compute(read, name) {
      const service = read.input('Service', name) as KindDocument & {
        readonly form: { readonly hosts?: readonly string[] }
      }
      return service === undefined ? [] : [name, ...(service.form.hosts ?? [])]
    },
    isSame: isDeepStrictEqual,
    facts: (hosts) => [
      ...hosts.slice(0, 1).map((): [string, string] => ['services', '']),
      ...hosts.map((host): [string, string] => ['services at', host]),
    ],
  }

  const meshRoute: Rule<MeshRoute | undefined> = {
    name: 'mesh route',
    level: 1,
    compute(read, name) {
      const form = routeIn(read, name)?.form
      if (form === undefined || !isForMesh(form)) return undefined
      return { hosts: form.hosts, services: servicesIn(form) }
    },
    isSame: isDeepStrictEqual,
    facts: (route) =>
      route === undefined
        ? []
        : [
            ['mesh routes', ''],
            ...route.hosts.map((host): [string, string] => ['mesh routes at', host]),
            ...route.services.map((service): [string, string] => ['mesh routes to', service]),
          ],
  }

  const sidecarKind: Rule<SidecarKind> = {
    name: 'sidecar kind',
    level: 1,
    compute(read, name) {
      const form = sidecarIn(read, name)?.form
      const isUntrimmed = form !== undefined && form.outbound?.services === undefined
      const { unknown, egress } = form?.outbound ?? {}
      const isShared = isUntrimmed && form.defaults === undefined && unknown === undefined && egress === undefined
      return { isShared, isUntrimmed, capture: form?.capture ?? 'ports' }
    },
    isSame: isDeepStrictEqual,
    facts: ({ isShared, isUntrimmed, capture }) => [
      ['sidecars', ''],
      ...(isUntrimmed ? [['untrimmed sidecars', ''] as const] : []),
      ...(isShared ? [['sharing routes', ''] as const] : []),
      ...(isShared ? [['sharing with capture', capture] as const] : []),
    ],
  }

  const proxiesOf = (name: string, index: string): Rule<Audience | undefined> => ({
    name,
    level: 2,
    compute: (read) => audienceOf(read.members(index, '').flatMap((one) => read.get(nodes, `Sidecar/${one}`))),
    isSame: (a, b) => a === b,
  })
  const untrimmed = proxiesOf('untrimmed audience', 'untrimmed sidecars')
  const sharing = proxiesOf('sharing audience', 'sharing routes')

  const anchor: Rule<KindDocument | undefined> = {
    name: 'anchor',
    level: 2,
    compute(read) {
      const [first] = read.members('sharing routes', '')
      if (first === undefined) return undefined
      return (read.input('Mesh', 'mesh') as KindDocument | undefined) ?? sidecarIn(read, first)
    },
    // Where it stands is looked up by its key when somebody is told.
    isSame: (a, b) => a?.key === b?.key,
  }

  /** By the way of capture: whether one of those that share the routes has it. */
  const hasSharing: Rule<boolean> = {
    name: 'has sharing',
    level: 2,
    compute: (read, capture) => read.members('sharing with capture', capture).length > 0,
    isSame: (a, b) => a === b,
  }

  const everything: Rule<readonly ServiceFacet[]> = {
    name: 'every service',
    level: 2,
    compute: (read) => read.members('services', '').flatMap((name) => read.get(facet, name) ?? []),
    isSame: isDeepStrictEqual,
  }

  const everyPort: Rule<readonly OutboundPort[]> = {
    name: 'every port',
    level: 3,
    compute: (read) => outboundPortsOf(read.get(everything, '')),
    isSame: isDeepStrictEqual,
  }

  /** What every sidecar may reach outside. */
  const meshEgress: Rule<SaidEgress | undefined> = {
    name: 'mesh egress',
    level: 1,
    compute(read) {
      const mesh = read.input('Mesh', 'mesh') as KindDocument<MeshForm> | undefined
      const egress = mesh?.form.egress
      return mesh && egress && { egress, from: { document: mesh, path: 'egress' } }
    },
    // Where that stands is looked up by the document's key when somebody is told.
    isSame: (a, b) => a?.from.document.key === b?.from.document.key && isDeepStrictEqual(a?.egress, b?.egress),
  }

  /** Once for all, be there a thousand sidecars and ten thousand hosts. */
  const meshOutside: Rule<OutboundEgress | undefined> = {
    name: 'mesh outside',
    level: 2,
    compute: (read) => egressOf('mesh', [read.get(meshEgress, '')]),
    // It is asked again only where what it is made of is another.
    isSame: () => false,
  }

  const shared: Rule<OutboundOutput | undefined> = {
    name: 'shared outbound',
    level: 3,
    compute(read) {
      const document = read.get(anchor, '')
      if (document === undefined) return undefined
      const reachable = read.get(everything, '')
      const mesh = read.get(meshLayer, '')
      const egress = read.get(meshOutside, '')
      const make = (): OutboundOutput =>
        buildOutbound({
          name: sharedOutbound,
          reachable,
          routes: read.members('mesh routes', '').flatMap((name) => routeIn(read, name) ?? []),
          services: { get: (name) => read.get(facet, name) },
          defaults: mesh.defaults,
          connectTimeout: mesh.connectTimeout,
          passthrough: mesh.outbound === 'allow' ? passthroughName('mesh') : undefined,
          egress,
          from: { document, path: '' },
        })
      const output = attempted(document, make, (problem) => ({ ...nothingOutbound, problems: [problem] }))
      const byPorts = read.get(hasSharing, 'ports') ? portProblems(read, reachable, egress, 'sidecars') : []
      const captured = read.get(hasSharing, 'iptables') ? capturedProblems(read, reachable, 'sidecars') : []
      return { ...output, problems: [...output.problems, ...byPorts, ...captured] }
    },
    // It is compared by what it is built to.
    isSame: () => false,
  }

  const sharedFilters: Rule<readonly HttpFilterKind[]> = {
    name: 'shared filters',
    level: 4,
    compute: (read) => [...(read.get(shared, '')?.filters ?? [])].sort(),
    isSame: isDeepStrictEqual,
  }

  function outboundOf(
    read: Reads,
    sidecar: KindDocument<SidecarForm>,
  ): SidecarOutbound & { readonly own?: OutboundOutput } {
    const { name, outbound, capture, defaults } = sidecar.form
    const kind = read.get(sidecarKind, name)
    const mesh = read.get(meshLayer, '')
    const unknown = outbound?.unknown ?? mesh.outbound
    if (kind.isShared) {
      return {
        routes: sharedOutbound,
        filters: new Set(read.get(sharedFilters, '')),
        ports: read.get(everyPort, ''),
        passthrough: unknown === 'allow' ? passthroughName('mesh') : undefined,
        egress: read.get(meshOutside, ''),
      }
    }
    const said = outbound?.egress && { egress: outbound.egress, from: { document: sidecar, path: 'outbound.egress' } }
    const outside = read.get(meshOutside, '')
    const egress =
      said === undefined
        ? outside && { ...outside, cluster: egressName(name) }
        : egressOf(name, [read.get(meshEgress, ''), said])
    const passthrough = unknown === 'allow' ? passthroughName(name) : undefined
    const reachable =
      outbound?.services === undefined
        ? read.get(everything, '')
        : [...new Set(outbound.services)].sort().flatMap((one) => read.get(facet, one) ?? [])
    const own = buildOutbound({
      name: outboundName(name),
      reachable,
      routes: kind.isUntrimmed
        ? read.members('mesh routes', '').flatMap((one) => routeIn(read, one) ?? [])
        : trimmedRoutes(read, reachable),
      services: { get: (one) => read.get(facet, one) },
      defaults: layerDefaults(defaults, mesh.defaults),
      connectTimeout: mesh.connectTimeout,
      passthrough,
      egress,
      from: { document: sidecar, path: 'outbound' },
    })
    const whose = `Sidecar ${name}`
    const problems =
      capture === 'iptables' ? capturedProblems(read, reachable, whose) : portProblems(read, reachable, egress, whose)
    return {
      routes: outboundName(name),
      filters: own.filters,
      ports: outboundPortsOf(reachable),
      passthrough,
      egress,
      own: { ...own, problems: [...own.problems, ...problems, ...(said === undefined ? [] : openEgress(said))] },
    }
  }

  return { serviceHosts, meshRoute, sidecarKind, anchor, untrimmed, sharing, shared, outboundOf }
}

const nothingOutbound: OutboundOutput = { resources: [], filters: new Set(), clusters: [], problems: [] }

/**
 * The Routes of the mesh that concern who calls some Services: those for a host of one of them, and those to one of them
 * for hosts of no Service. Of other hosts it hears nothing.
 */
function trimmedRoutes(read: Reads, reachable: readonly ServiceFacet[]): readonly KindDocument<RouteForm>[] {
  const callable = new Set(reachable.flatMap(({ hosts }) => hosts))
  const names = new Set([
    ...[...callable].flatMap((host) => read.members('mesh routes at', host)),
    ...reachable.flatMap(({ name }) => read.members('mesh routes to', name)),
  ])
  return [...names].sort().flatMap((name): KindDocument<RouteForm>[] => {
    const route = routeIn(read, name)
    if (route === undefined) return []
    const calls = servicesIn(route.form).some((one) => reachable.some((facet) => facet.name === one))
    const hosts = route.form.hosts.filter(
      (host) => callable.has(host) || (calls && read.members('services at', host).length === 0),
    )
    return hosts.length === 0 ? [] : [{ ...route, form: { ...route.form, hosts } }]
  })
}

/** What somebody may reach outside, by a cluster of its own. */
function egressOf(owner: string, said: readonly (SaidEgress | undefined)[]): OutboundEgress | undefined {
  const allowed = allowedHosts(said.filter((one) => one !== undefined))
  return allowed.length === 0 ? undefined : { cluster: egressName(owner), allowed }
}

function portProblems(
  read: Reads,
  reachable: readonly ServiceFacet[],
  egress: OutboundEgress | undefined,
  whose: string,
): readonly PlacedProblem[] {
  const told = (service: string, place: string, others: string, which: string): readonly PlacedProblem[] => {
    const document = read.input('Service', service) as KindDocument | undefined
    if (document === undefined) return []
    return [
      {
        severity: 'error',
        code: 'conflict',
        at: { key: document.key, path: 'port' },
        message: `With \`capture: ports\` the ${whose} would listen on ${place} for ${others} as well.`,
        fix: `Give ${which} an \`address\` of its own, such as 127.0.0.2, or another \`port\`.`,
      },
    ]
  }
  const outside = outsideClashesOf(reachable, egressPortsOf(egress))
  return [
    ...portClashesOf(reachable).flatMap(({ place, service, rival }) =>
      told(service, place, `the Service ${rival}`, 'one of them'),
    ),
    ...outside.flatMap(({ place, service }) => told(service, place, 'hosts outside', 'it')),
  ]
}

function capturedProblems(read: Reads, reachable: readonly ServiceFacet[], whose: string): readonly PlacedProblem[] {
  return capturedClashesOf(reachable).flatMap(({ service, rival, path, both }): PlacedProblem[] => {
    const document = read.input('Service', service) as KindDocument | undefined
    if (document === undefined) return []
    const what = path === 'address' ? '`address` or `port`' : '`hosts`, or an `address`'
    return [
      {
        severity: 'error',
        code: 'conflict',
        at: { key: document.key, path },
        message: `With \`capture: iptables\` the ${whose} cannot tell it from the Service ${rival}, which has ${both} as well.`,
        fix: `Give one of them another ${what}.`,
      },
    ]
  })
}

const sidecarIn = (read: Reads, name: string): KindDocument<SidecarForm> | undefined =>
  read.input('Sidecar', name) as KindDocument<SidecarForm> | undefined

const routeIn = (read: Reads, name: string): KindDocument<RouteForm> | undefined =>
  read.input('Route', name) as KindDocument<RouteForm> | undefined

/** Without a gateway it is for the sidecars. */
function isForMesh({ gateways }: RouteForm): boolean {
  return gateways === undefined || gateways.length === 0 || gateways.includes('mesh')
}

function servicesIn({ rules }: RouteForm): readonly string[] {
  const found = rules.flatMap(({ action, mirror = [], fallback }) => [
    ...(action.kind === 'forward' ? action.backends : []),
    ...mirror,
    ...(fallback === undefined ? [] : [fallback]),
  ])
  return [...new Set(found.map(({ service }) => service))].sort()
}
