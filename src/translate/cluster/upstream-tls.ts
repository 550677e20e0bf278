import { isIP } from 'node:net'
import type { ServiceForm, UpstreamTls } from '../../config/kinds/service-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { SecretFacets } from '../contract.ts'
import { at, type EnvoyJson, placeOf, within } from '../envoy-json.ts'
import { isUnready, secretReference } from '../secret/build-secret.ts'
import { extension } from './extension.ts'
import { ifSaid, type PolicyLayer, type PolicyLayers, type Said, said } from './policy-layers.ts'
import { speaksHttp, speaksHttp2 } from './protocol.ts'

type Spoken = Pick<ServiceForm, 'protocol'>

/** The layer that asks for TLS to the endpoints; undefined where none does. */
export function tlsLayer({ protocol }: Spoken, layers: PolicyLayers): PolicyLayer | undefined {
  // There the clients speak TLS with the endpoints themselves.
  return protocol === 'tls' ? undefined : layers.find(({ policy }) => policy.tls !== undefined)
}

/** The socket that speaks TLS with the endpoints, and takes only who proves to be one. */
export function tlsSocket(form: Spoken, layers: PolicyLayers): EnvoyJson | undefined {
  const layer = tlsLayer(form, layers)
  if (layer === undefined) return undefined
  const own = said(layers, 'tls', 'secret')
  const ca = said(layers, 'tls', 'ca')
  const names = verifiedNames(layers)
  const byCa = ca && at(ca.from, secretReference(ca.value))
  const message = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
  const json = extension('envoy.transport_sockets.tls', message, {
    sni: ifSaid(said(layers, 'tls', 'sni')),
    common_tls_context: {
      // Envoy's requests ask for it by themselves, its health checks do not.
      alpn_protocols: speaksHttp2(form.protocol) ? ['h2'] : undefined,
      tls_certificate_sds_secret_configs: own && [at(own.from, secretReference(own.value))],
      ...(names === undefined
        ? { validation_context_sds_secret_config: byCa }
        : {
            combined_validation_context: {
              default_validation_context: {
                match_typed_subject_alt_names: at(names.from, names.value.map(matcherOf)),
              },
              validation_context_sds_secret_config: byCa,
            },
          }),
    },
  })
  return at(within(layer.from, 'tls'), json)
}

/** For requests without a name of their own: each is for its host, which the certificate must then be for. */
export function hostByRequest(form: Spoken, layers: PolicyLayers): EnvoyJson | undefined {
  if (tlsLayer(form, layers) === undefined || !speaksHttp(form.protocol)) return undefined
  const isNamed = said(layers, 'tls', 'sni') !== undefined
  const isVerified = verifiedNames(layers) !== undefined
  if (isNamed && isVerified) return undefined
  return { auto_sni: isNamed ? undefined : true, auto_san_validation: isVerified ? undefined : true }
}

/** Secrets that the clusters need, by which they are known and know others. */
export function secretsOf(form: Spoken, layers: PolicyLayers): readonly string[] {
  if (tlsLayer(form, layers) === undefined) return []
  return [said(layers, 'tls', 'ca')?.value, said(layers, 'tls', 'secret')?.value].flatMap((name) => name ?? [])
}

/**
 * TLS with whoever answers is no protection, so it must be said who that may be.
 */
export function tlsProblems(
  form: Spoken & Pick<ServiceForm, 'name'>,
  layers: PolicyLayers,
  secrets: SecretFacets,
): readonly PlacedProblem[] {
  const layer = tlsLayer(form, layers)
  if (layer === undefined) return []
  const ca = said(layers, 'tls', 'ca')
  const told = (message: string, fix: string): PlacedProblem => ({
    severity: 'error',
    code: 'rule-violation',
    at: placeOf(within(layer.from, 'tls')),
    message,
    fix,
  })
  if (ca === undefined) {
    const fix = 'Add `ca`, the name of a Secret with the CA that signs its certificate.'
    return [told('Without a CA anybody could answer for the Service.', fix)]
  }
  const own = said(layers, 'tls', 'secret')
  const problems = [
    ...wrongSecret(ca, secrets, true),
    ...wrongSecret(own, secrets, false),
    ...[ca, own].flatMap((named) => unreadySecret(form, named, secrets)),
  ]
  if (speaksHttp(form.protocol) || verifiedNames(layers) !== undefined) return problems
  const message = 'Whoever has a certificate of the CA could answer for the Service.'
  return [...problems, told(message, 'Add `sni`, or `verify` with the names that its certificate has.')]
}

function wrongSecret(named: Said<string> | undefined, secrets: SecretFacets, isCa: boolean): readonly PlacedProblem[] {
  const facet = named && secrets.get(named.value)
  if (named === undefined || facet === undefined || facet.isCa === isCa) return []
  const [has, lacks] = isCa ? ['a certificate', 'CA'] : ['a CA', 'certificate']
  return [
    {
      severity: 'error',
      code: 'rule-violation',
      at: placeOf(named.from),
      message: `The Secret ${facet.name} holds ${has}, and no ${lacks}.`,
      fix: `Name a Secret with \`${isCa ? 'ca' : 'certificate'}\`.`,
    },
  ]
}

function unreadySecret(
  { name }: Pick<ServiceForm, 'name'>,
  named: Said<string> | undefined,
  secrets: SecretFacets,
): readonly PlacedProblem[] {
  if (named === undefined || !isUnready(secrets.get(named.value))) return []
  const message = `Requests for ${name} get 503: the files of the Secret ${named.value} were never right.`
  const fix = 'Mend them, as the problem of the Secret says: the endpoints are called as soon as they are right.'
  return [{ severity: 'warning', code: 'withheld', at: placeOf(named.from), message, fix }]
}

/** Names of which the certificate must have one: `verify`, or else `sni`, whichever is nearer. */
function verifiedNames(layers: PolicyLayers): Said<readonly string[]> | undefined {
  const verify = said(layers, 'tls', 'verify')
  const sni = said(layers, 'tls', 'sni')
  if (verify !== undefined && (sni === undefined || verify.layer <= sni.layer)) return verify
  return sni && { ...sni, value: [sni.value] }
}

function matcherOf(name: NonNullable<UpstreamTls['verify']>[number]): EnvoyJson {
  const plain = isIP(name) === 0 ? 'DNS' : 'IP_ADDRESS'
  return { san_type: name.includes('://') ? 'URI' : plain, matcher: { exact: name } }
}
