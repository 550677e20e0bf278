import type { DescMessage, Message } from '@bufbuild/protobuf'
import type { EnvoyApi } from './envoy-api.ts'

/** A value that breaks a `validate.rules` option of the API. */
export interface RuleViolation {
  /** From the message that was given: proto field names, list indices and map keys. An Any adds nothing. */
  readonly path: readonly (string | number)[]
  /** What is wrong, without the field: `must be at least 1 character long`. */
  readonly message: string
  /** What to do: `give cluster_name a value`. */
  readonly fix: string
}

/** Every place where `message`, or a known message packed in it, breaks the API's `validate.rules`; in field order. */
export function validateMessage(_api: EnvoyApi, _desc: DescMessage, _message: Message): RuleViolation[] {
  return []
}
