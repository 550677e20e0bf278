import type { TypeUrl } from '../../resource/type-url.ts'
import type { GatewayListener, ListenerTls } from './gateway-form.ts'
import type { KindForm } from './kind-form.ts'
import { kindTypeUrl } from './kind-name.ts'
import type { Rule } from './route-form.ts'
import type { ServicePolicy } from './service-form.ts'

/** A name of another document that a document holds. */
export interface KindReference {
  readonly typeUrl: TypeUrl
  /** `cart`, or `cart/v2` for a version of a Service. */
  readonly name: string
  /** In the document's normal form. */
  readonly path: string
}

/**
 * What a document names and cannot be without. A Route's gateways and a Patch's target are not among it: those must be
 * deletable.
 */
export function referencesOf(form: KindForm): readonly KindReference[] {
  switch (form.kind) {
    case 'Mesh':
      return policyReferences(form.defaults?.service, 'defaults.service.')
    case 'Service':
      return [
        ...policyReferences(form, ''),
        ...(form.versions ?? []).flatMap(({ policy }, index) => policyReferences(policy, `versions[${index}].`)),
      ]
    case 'Route':
      return form.rules.flatMap((rule, index) => ruleReferences(rule, `rules[${index}]`))
    case 'Gateway':
      return form.listeners.flatMap((listener, index) => listenerReferences(listener, `listeners[${index}]`))
    case 'Sidecar': {
      const own = form.service === undefined ? [] : [service(form.service, 'service')]
      const inbound = form.inbound.map((entry, index) => service(entry.service, `inbound[${index}].service`))
      const outbound = (form.outbound?.services ?? []).map((name, index) =>
        service(name, `outbound.services[${index}]`),
      )
      return [...own, ...inbound.filter(({ name }) => name !== form.service), ...outbound]
    }
    case 'Secret':
    case 'Patch':
    case 'Instance':
      return []
  }
}

const service = (name: string, path: string): KindReference => ({ typeUrl: kindTypeUrl('Service'), name, path })

const secret = (name: string, path: string): KindReference => ({ typeUrl: kindTypeUrl('Secret'), name, path })

function backend(
  named: { readonly service: string; readonly version?: string } | undefined,
  path: string,
): readonly KindReference[] {
  if (named === undefined) return []
  if (named.version === undefined) return [service(named.service, `${path}.service`)]
  return [service(`${named.service}/${named.version}`, `${path}.version`)]
}

function ruleReferences({ action, mirror, fallback }: Rule, path: string): readonly KindReference[] {
  const backends = action.kind === 'forward' ? action.backends : []
  return [
    ...backends.flatMap((named, index) => backend(named, `${path}.backends[${index}]`)),
    ...(mirror ?? []).flatMap((named, index) => backend(named, `${path}.mirror[${index}]`)),
    ...backend(fallback, `${path}.fallback`),
  ]
}

function listenerReferences(listener: GatewayListener, path: string): readonly KindReference[] {
  return [
    ...(listener.service === undefined ? [] : [service(listener.service, `${path}.service`)]),
    ...(listener.backends ?? []).flatMap((named, index) => backend(named, `${path}.backends[${index}]`)),
    ...tlsReferences(listener.tls, `${path}.tls`),
  ]
}

function tlsReferences(tls: ListenerTls | undefined, path: string): readonly KindReference[] {
  if (tls === undefined) return []
  return [
    ...tls.secret.map((name, index) => secret(name, `${path}.secret[${index}]`)),
    ...(tls.clientCa === undefined ? [] : [secret(tls.clientCa, `${path}.clientCa`)]),
  ]
}

function policyReferences(policy: ServicePolicy | undefined, path: string): readonly KindReference[] {
  const { ca, secret: shown } = policy?.tls ?? {}
  return [
    ...(ca === undefined ? [] : [secret(ca, `${path}tls.ca`)]),
    ...(shown === undefined ? [] : [secret(shown, `${path}tls.secret`)]),
  ]
}
