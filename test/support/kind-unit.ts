import type { GatewayForm } from '../../src/config/kinds/gateway-form.ts'
import { declarationsOf, rememberKind } from '../../src/config/kinds/kind-document.ts'
import type { KindForm } from '../../src/config/kinds/kind-form.ts'
import { kindTypeUrl } from '../../src/config/kinds/kind-name.ts'
import type { Places } from '../../src/config/kinds/places.ts'
import type { RouteForm } from '../../src/config/kinds/route-form.ts'
import type { ServiceForm } from '../../src/config/kinds/service-form.ts'
import type { SidecarForm } from '../../src/config/kinds/sidecar-form.ts'
import { buildResource, type Reference } from '../../src/resource/resource.ts'
import type { Unit } from '../../src/snapshot/world.ts'

/** The unit that a document of a kind becomes, made of its form: in a file of its own, everything `line` lines down. */
export function kindUnit(form: KindForm, key = `file:${form.kind}-${form.name}.yaml`, line = 1): Unit {
  const origin = { name: key.slice(key.indexOf(':') + 1), line, column: 1 }
  const places: Places = { at: (path) => ({ line: line + path.length, column: 1, path }) }
  const resource = buildResource({
    typeUrl: kindTypeUrl(form.kind),
    name: form.kind === 'Mesh' ? 'mesh' : form.name,
    bytes: Buffer.from(JSON.stringify(form)),
    origin,
    references:
      form.kind === 'Route' ? serviceReferences(form) : form.kind === 'Sidecar' ? sidecarReferences(form) : [],
  })
  rememberKind(resource, { key, origin, form, places })
  return { key, origin, selectors: [], resources: [resource], declares: declarationsOf(form) }
}

function serviceReferences({ rules }: RouteForm): Reference[] {
  return rules.flatMap(({ action, fallback }, rule) => {
    const backends = action.kind === 'forward' ? action.backends : []
    const named = [
      ...backends.map((one, backend) => [`backends[${backend}]`, one] as const),
      ...(fallback === undefined ? [] : [['fallback', fallback] as const]),
    ]
    return named.map(([below, { service, version }]) => ({
      typeUrl: kindTypeUrl('Service'),
      name: version === undefined ? service : `${service}/${version}`,
      path: `rules[${rule}].${below}.service`,
    }))
  })
}

function sidecarReferences({ inbound, outbound }: SidecarForm): Reference[] {
  const named = [...inbound.map(({ service }) => service), ...(outbound?.services ?? [])]
  return named.map((name) => ({ typeUrl: kindTypeUrl('Service'), name, path: 'outbound' }))
}

/** A Sidecar of the nodes of these clusters, which takes the requests for a Service and calls others. */
export function sidecarForm(
  name: string,
  clusters: readonly string[],
  service: string | undefined,
  rest: Partial<SidecarForm> = {},
): SidecarForm {
  return {
    kind: 'Sidecar',
    name,
    nodes: clusters.map((cluster) => ({ cluster })),
    ...(service !== undefined && { service }),
    inbound: service === undefined ? [] : [{ port: 15_006, app: { host: '127.0.0.1', port: 8080 }, service }],
    ...rest,
  }
}

/** A Service with an endpoint for each port given; each port is of the version `v<port>` where `versions` names it. */
export function serviceForm(
  name: string,
  ports: readonly number[] = [80],
  versions: readonly string[] = [],
): ServiceForm {
  return {
    kind: 'Service',
    name,
    protocol: 'http',
    endpoints: ports.map((port) => ({ address: '10.0.0.1', port, labels: { version: `v${port}` } })),
    ...(versions.length > 0 && { versions: versions.map((one) => ({ name: one, labels: { version: one } })) }),
  }
}

/** The Route with a Service that all of its rules fall back to. */
export function fallingBack(route: RouteForm, service: string): RouteForm {
  return { ...route, rules: route.rules.map((rule) => ({ ...rule, fallback: { service } })) }
}

/** A Route that sends everything below `prefix` to its backends: `cart`, or `cart/v1`. */
export function routeForm(
  name: string,
  gateways: readonly string[],
  hosts: readonly string[],
  rules: readonly (readonly [prefix: string, ...backends: string[]])[],
): RouteForm {
  return {
    kind: 'Route',
    name,
    gateways,
    hosts,
    rules: rules.map(([prefix, ...backends]) => ({
      match: [{ path: [{ prefix }] }],
      action: {
        kind: 'forward',
        backends: backends.map((backend) => {
          const [service = '', version] = backend.split('/')
          return { service, ...(version !== undefined && { version }) }
        }),
      },
    })),
  }
}

export function gatewayForm(
  name: string,
  clusters: readonly string[],
  hosts?: readonly string[],
  port = 8080,
): GatewayForm {
  return {
    kind: 'Gateway',
    name,
    nodes: clusters.map((cluster) => ({ cluster })),
    listeners: [{ name: 'http', port, protocol: 'http', ...(hosts && { hosts }) }],
  }
}
