import type { DescMessage, Message } from '@bufbuild/protobuf'
import type { EnvoyApi } from './envoy-api.ts'
import type { Reference } from './resource.ts'

/** The names of other resources that `message` holds, everywhere in it and in the known messages packed in it. */
export function collectReferences(_api: EnvoyApi, _desc: DescMessage, _message: Message): Reference[] {
  return []
}
