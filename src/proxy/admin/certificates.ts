import { X509Certificate } from 'node:crypto'
import type { ClusterManager } from '../cluster/cluster-manager.ts'
import { readDataSource } from '../config/data-source.ts'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import type { AdsDiscovery } from '../discovery/create-discovery.ts'
import type { ListenerManager } from '../listener/listener-manager.ts'
import { namesOf } from '../tls/certificate-names.ts'

export interface CertificateSubject {
  readonly bootstrap: { readonly secrets: readonly JsonObject[] }
  readonly clusters: Pick<ClusterManager, 'dump'>
  readonly listeners: Pick<ListenerManager, 'listeners'>
  readonly discovery: Pick<AdsDiscovery, 'held'>
}

/** Envoy's `/certs`: what each TLS context shows, and whom it trusts, without a key. */
export function dumpCertificates({ bootstrap, clusters, listeners, discovery }: CertificateSubject): object {
  const { static: statics, active } = clusters.dump
  const secrets = new Map([...bootstrap.secrets, ...discovery.held('secret').map(({ content }) => content)].map(byName))
  const configs = [
    ...[...statics, ...active].map(({ content }) => content),
    ...[...listeners.listeners.values()].map(({ config }) => config),
  ]
  const contexts = configs.flatMap((config) => objectsUnder(config, 'common_tls_context'))
  return {
    certificates: contexts.map((context) => ({
      ca_cert: detailsOf(context, secrets, 'trusted_ca', 'validation_context_sds_secret_config'),
      cert_chain: detailsOf(context, secrets, 'certificate_chain', 'tls_certificate_sds_secret_configs'),
    })),
  }
}

const byName = (secret: JsonObject): [string, JsonObject] => [secret['name'] as string, secret]

/** Of the first certificate of each source: what stands in the context itself, and what it names. */
function detailsOf(
  context: JsonObject,
  secrets: ReadonlyMap<string, JsonObject>,
  field: string,
  reference: string,
): readonly object[] {
  const named = objectsUnder(context, reference).map(({ name }) => secrets.get(name as string))
  const sources = [context, ...named.filter((secret) => secret !== undefined)].flatMap((holder) =>
    objectsUnder(holder, field),
  )
  return sources.flatMap((source) => {
    const certificate = certificateIn(source)
    return certificate === undefined ? [] : [describe(certificate, source)]
  })
}

/** Undefined where it cannot be read, any more: it was when it was taken. */
function certificateIn(source: JsonObject): X509Certificate | undefined {
  try {
    return new X509Certificate(FieldReader.read(source, readDataSource))
  } catch {
    return undefined
  }
}

const dayMs = 86_400_000

/** What Envoy shows of names, in its order. */
const kinds = [
  ['DNS', 'dns'],
  ['URI', 'uri'],
  ['IP_ADDRESS', 'ip_address'],
] as const

function describe(certificate: X509Certificate, source: JsonObject): object {
  const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)]
  const names = namesOf(certificate)
  return {
    path: (source['filename'] as string | undefined) ?? '<inline>',
    serial_number: certificate.serialNumber.toLowerCase(),
    subject_alt_names: kinds.flatMap(([kind, shown]) =>
      names.filter(({ type }) => type === kind).map(({ value }) => ({ [shown]: value })),
    ),
    days_until_expiration: String(daysUntil(to)),
    valid_from: from.toISOString().replace('.000', ''),
    expiration_time: to.toISOString().replace('.000', ''),
  }
}

/** All objects that stand under a field of this name, at any depth. */
function objectsUnder(value: JsonObject[string] | undefined, field: string): readonly JsonObject[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return (value as JsonObject[string][]).flatMap((item) => objectsUnder(item, field))
  return Object.entries(value as JsonObject).flatMap(([name, member]) => {
    if (name !== field) return objectsUnder(member, field)
    return (Array.isArray(member) ? member : [member]) as JsonObject[]
  })
}

/** Whole days, by the clock's whole seconds, as Envoy counts them. */
const daysUntil = (end: Date): number =>
  Math.max(0, Math.floor((end.getTime() - Math.floor(Date.now() / 1000) * 1000) / dayMs))
