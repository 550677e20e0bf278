import { type TypeUrl, typeUrlPrefix } from '../../resource/type-url.ts'
import type { Kind } from './kind-form.ts'

const kindPrefix = `${typeUrlPrefix}fairlead.v1.`

/** The type of the resource that a document of a kind becomes. */
export function kindTypeUrl(kind: Kind): TypeUrl {
  return kindPrefix + kind
}

/** What people write documents of. An Instance registers itself. */
export const documentKinds: readonly Exclude<Kind, 'Instance'>[] = [
  'Mesh',
  'Service',
  'Route',
  'Gateway',
  'Sidecar',
  'Secret',
  'Patch',
]

const kinds: ReadonlySet<string> = new Set<Kind>([...documentKinds, 'Instance'])

/** The kind that a resource's type is of; undefined for a type of Envoy's. */
export function kindOfType(typeUrl: TypeUrl): Kind | undefined {
  const name = typeUrl.startsWith(kindPrefix) ? typeUrl.slice(kindPrefix.length) : ''
  return kinds.has(name) ? (name as Kind) : undefined
}
