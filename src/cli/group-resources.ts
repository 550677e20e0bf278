import type { EnvoyApi } from '../resource/envoy-api.ts'
import { messageToJson } from '../resource/json/codec.ts'
import type { Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { type Snapshot, setOf } from '../snapshot/snapshot.ts'
import type { GroupResources, JsonObject } from './static-config.ts'

/** What a snapshot has for a bootstrap, each resource as `jsonOf` has it. */
export function groupResources(snapshot: Snapshot, jsonOf: (resource: Resource) => JsonObject): GroupResources {
  const list = (word: keyof GroupResources): readonly JsonObject[] =>
    Array.from(setOf(snapshot, resourceTypes[word].typeUrl).values(), jsonOf)
  return {
    cluster: list('cluster'),
    endpoint: list('endpoint'),
    listener: list('listener'),
    route: list('route'),
    secret: list('secret'),
    extension: list('extension'),
    virtualHost: list('virtualHost'),
  }
}

/** A resource without its type: in a bootstrap each list has that of its field. */
export function fieldsOf(api: EnvoyApi, { typeUrl, bytes }: Resource): JsonObject {
  const { '@type': _, ...fields } = messageToJson(api, typeUrl, bytes) as JsonObject
  return fields
}
