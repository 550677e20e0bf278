import type { Origin } from '../../errors.ts'
import type { Named } from '../../resource/named.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import type { KindForm } from './kind-form.ts'
import { kindTypeUrl } from './kind-name.ts'
import type { Places } from './places.ts'

/** A document of one of our kinds, as its author got it right. */
export interface KindDocument<F extends KindForm = KindForm> {
  /** Of its ConfigDocument. */
  readonly key: string
  readonly origin: Origin
  readonly form: F
  readonly places: Places
}

const documents = new WeakMap<Resource, KindDocument>()

/** Keeps with the resource what it was read from. */
export function rememberKind(resource: Resource, document: KindDocument): void {
  documents.set(resource, document)
}

/** The document that a resource of one of our kinds was read from; undefined for one that was not read in this run. */
export function kindOf(resource: Resource): KindDocument | undefined {
  return documents.get(resource)
}

/** The names that a document provides to others beside its own: its versions, and the Envoy resources made of it. */
export function declarationsOf(form: KindForm): readonly Named[] {
  if (form.kind === 'Secret') return [{ typeUrl: resourceTypes.secret.typeUrl, name: form.name }]
  if (form.kind !== 'Service') return []
  const versions = (form.versions ?? []).map(({ name }) => `${form.name}/${name}`)
  return [
    ...versions.map((name) => ({ typeUrl: kindTypeUrl('Service'), name })),
    ...[form.name, ...versions].map((name) => ({ typeUrl: resourceTypes.cluster.typeUrl, name })),
  ]
}
