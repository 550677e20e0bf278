import type { EnvoyApi } from './envoy-api.ts'
import { ownMessage } from './own-message.ts'

/** A field of one of our own messages (proto/fairlead/v1), as a reader of documents needs it. */
export interface OwnField {
  readonly name: string
  readonly jsonName: string
  /** It holds a message (a map in YAML), not a scalar. */
  readonly isMessage: boolean
}

/**
 * The fields of one of our own messages, so that the schema is the one truth of what a document may hold.
 * @throws ControlPlaneError `api` for descriptors that lack it, which `loadEnvoyApi` gives none of.
 */
export function ownFields(api: EnvoyApi, typeName: `fairlead.v1.${string}`): readonly OwnField[] {
  const { fields } = ownMessage(api, typeName)
  return fields.map(({ name, jsonName, fieldKind }) => ({ name, jsonName, isMessage: fieldKind === 'message' }))
}

/** The field that a document's key means, in either spelling that proto3 JSON accepts. */
export function ownFieldOf(fields: readonly OwnField[], key: string): OwnField | undefined {
  return fields.find(({ name, jsonName }) => name === key || jsonName === key)
}
