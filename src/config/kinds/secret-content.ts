import type { Origin } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { decodeOwn, encodeOwn } from '../../resource/own-message.ts'
import { buildResource, type Resource } from '../../resource/resource.ts'
import { ownTypeUrl } from '../../resource/type-url.ts'

/** What the files of a Secret held when they were last right. */
export interface SecretContent {
  /** Of the content: another one means that clients get something else. */
  readonly digest: string
  /** The names of the certificate, in lower case; none of a CA. */
  readonly dnsNames: readonly string[]
  /** After a restart it is not at hand until the files are read: the history keeps no key. */
  readonly pem?: SecretPem
}

export type SecretPem =
  | { readonly kind: 'certificate'; readonly chain: string; readonly key: string }
  | { readonly kind: 'ca'; readonly certificates: string }

const contents = new WeakMap<Resource, SecretContent>()

const typeName = 'fairlead.v1.SecretContent'
const typeUrl = ownTypeUrl('SecretContent')

/**
 * What stands beside the Secret in its unit, so that other content is another form of it, which falls back as any other. It
 * holds no key: the history keeps it.
 */
export function buildContentResource(api: EnvoyApi, name: string, origin: Origin, content: SecretContent): Resource {
  const { digest, dnsNames } = content
  const bytes = encodeOwn(api, typeName, { digest, dnsNames })
  const resource = buildResource({ typeUrl, name, bytes, origin })
  contents.set(resource, content)
  return resource
}

/** The content of the Secret that some resources are of a unit of; undefined where its files were never right. */
export function contentIn(api: EnvoyApi, resources: readonly Resource[]): SecretContent | undefined {
  const resource = resources.find((one) => one.typeUrl === typeUrl)
  if (resource === undefined) return undefined
  const known = contents.get(resource)
  if (known !== undefined) return known
  const { digest, dnsNames } = decodeOwn(api, typeName, resource.bytes) as Pick<SecretContent, 'digest' | 'dnsNames'>
  return { digest, dnsNames }
}
