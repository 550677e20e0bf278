import type { GeneratedJson, SecretFacet, SecretInput, SecretOutput } from '../contract.ts'
import { at, type EnvoyJson, within } from '../envoy-json.ts'

/** What is sent of a Secret whose files are at hand. */
export function buildSecret({ secret, content }: SecretInput): SecretOutput {
  const from = { document: secret, path: '' }
  const { name } = secret.form
  const pem = content?.pem
  if (pem === undefined) return { resource: undefined, problems: [] }
  const json: EnvoyJson =
    pem.kind === 'ca'
      ? { name, validation_context: at(within(from, 'ca'), { trusted_ca: { inline_string: pem.certificates } }) }
      : {
          name,
          tls_certificate: at(within(from, 'certificate'), {
            certificate_chain: { inline_string: pem.chain },
            private_key: { inline_string: pem.key },
          }),
        }
  const resource: GeneratedJson = { type: 'secret', name, json, from }
  return { resource, problems: [] }
}

/** What others may know of a Secret: another certificate for the same names is the same. */
export function secretFacetOf({ secret, content }: SecretInput): SecretFacet {
  return { name: secret.form.name, isCa: secret.form.ca !== undefined, dnsNames: content?.dnsNames }
}

/** Its files were never right: what needs it is left out. */
export function isUnready(facet: SecretFacet | undefined): boolean {
  return facet !== undefined && facet.dnsNames === undefined
}

/** Where a client gets a Secret. */
export function secretReference(name: string): EnvoyJson {
  return { name, sds_config: { ads: {}, resource_api_version: 'V3' } }
}
