import { type DescMessage, fromJson, type JsonObject } from '@bufbuild/protobuf'
import { type EnvoyApi, loadEnvoyApi } from '../../src/resource/envoy-api.ts'
import { encodeMessage } from '../../src/resource/json/codec.ts'
import { collectReferences } from '../../src/resource/references/references.ts'
import { buildResource, type Resource } from '../../src/resource/resource.ts'
import { isSensitiveMessage } from '../../src/resource/secrecy/sensitive.ts'
import { messageNameOf, type ResourceWord, resourceTypes } from '../../src/resource/type-url.ts'

/** The built-in API, loaded once a file. */
export const envoyApi: EnvoyApi = loadEnvoyApi()

/**
 * A resource of real bytes, as the pipeline would make it: references and sensitivity are found in its content.
 *
 *     resource('cluster', 'a')                                   the name alone
 *     resource('cluster', 'a', 2)                                the same name with other content than at 1
 *     resource('route', 'r', { virtual_hosts: [ … ] })           any fields, in Envoy's JSON
 */
export function resource(
  word: ResourceWord,
  name: string,
  content: number | JsonObject = {},
  more: { readonly ttlMs?: number; readonly aliases?: readonly string[] } = {},
): Resource {
  const { typeUrl } = resourceTypes[word]
  const desc = envoyApi.registry.getMessage(messageNameOf(typeUrl)) as DescMessage
  const nameField = word === 'endpoint' ? 'cluster_name' : 'name'
  const fields = typeof content === 'number' ? revisionOf(word, content) : content
  const message = fromJson(desc, { [nameField]: name, ...fields }, { registry: envoyApi.registry })
  return buildResource({
    typeUrl,
    name,
    bytes: encodeMessage(desc, message),
    origin: { name: `${word}/${name}.yaml` },
    references: collectReferences(envoyApi, desc, message),
    isSensitive: isSensitiveMessage(envoyApi, desc, message),
    ...more,
  })
}

/** A cluster that takes its endpoints by EDS over ADS. */
export function edsCluster(name: string, revision = 1): Resource {
  return resource('cluster', name, {
    type: 'EDS',
    connect_timeout: `${revision}s`,
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
  })
}

/** A route configuration that sends everything to that cluster. */
export function routeTo(name: string, cluster: string): Resource {
  return resource('route', name, {
    virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
  })
}

/** A field in which two revisions of a resource differ, and which refers to nothing. */
function revisionOf(word: ResourceWord, revision: number): JsonObject {
  switch (word) {
    case 'cluster':
      return { connect_timeout: `${revision}s` }
    case 'endpoint':
      return { policy: { overprovisioning_factor: revision } }
    case 'listener':
      return { stat_prefix: `${revision}` }
    case 'route':
      return { max_direct_response_body_size_bytes: revision }
    case 'scopedRoute':
      return { on_demand: revision % 2 === 0, route_configuration_name: 'r' }
    case 'secret':
      return { generic_secret: { secret: { inline_string: `${revision}` } } }
    case 'runtime':
      return { layer: { revision } }
    case 'virtualHost':
      return { domains: [`${revision}.example`] }
    case 'extension':
      return { typed_config: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: `${revision}` } }
    case 'localityEndpoint':
      throw new Error('a LbEndpoint has no name of its own')
  }
}
