import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { decodeOwn, type OwnMessage } from '../../resource/own-message.ts'
import { ownSchema } from '../../resource/own-schema.ts'
import type { Resource } from '../../resource/resource.ts'
import { formOf } from './form.ts'
import { kindOf } from './kind-document.ts'
import type { KindForm } from './kind-form.ts'
import { kindOfType } from './kind-name.ts'
import { plainMessage } from './plain-message.ts'

/**
 * The form of a resource of one of our kinds: as it was read, or from its bytes after a restart; undefined for a resource of
 * Envoy's.
 * @throws Error when the bytes are no such message.
 */
export function formOfResource(api: EnvoyApi, resource: Resource): KindForm | undefined {
  const read = kindOf(resource)
  if (read !== undefined) return read.form
  const kind = kindOfType(resource.typeUrl)
  if (kind === undefined) return undefined
  const message = decodeOwn(api, `fairlead.v1.${kind}`, resource.bytes) as OwnMessage
  return formOf(kind, plainMessage(ownSchema(api, kind), message))
}
