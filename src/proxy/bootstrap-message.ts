import { ControlPlaneError } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { decodeMessage } from '../resource/json/codec.ts'
import { messageJson } from '../resource/json/message-json.ts'
import { validateMessage } from '../resource/rules/validate-rules.ts'
import { formatPath } from '../resource/tree-path.ts'
import type { JsonObject } from './config/field-reader.ts'
import { readMessageText } from './config/message-text.ts'

/** A bootstrap as Envoy's API reads it. */
export interface BootstrapMessage {
  readonly json: JsonObject
  /** Its `node`, as a message: what the control plane is told. */
  readonly node: object
}

/**
 * @param source YAML or JSON, or what either would be read as
 * @throws ControlPlaneError `config` that names every field which the API does not take, a line each.
 */
export function readBootstrapMessage(api: EnvoyApi, source: string | object): BootstrapMessage {
  const { desc, message, problems } = readMessageText(api, 'envoy.config.bootstrap.v3.Bootstrap', source)
  refuse(problems)
  refuse(validateMessage(api, desc, message).map((breach) => `${formatPath('', breach.path)}: ${breach.message}`))
  const json = messageJson({ api, redact: false, depth: 0 }, desc, message) as JsonObject
  return { json, node: nodeOf(api, message as unknown as { readonly node?: NodeMessage }) }
}

interface NodeMessage {
  readonly userAgentName: string
}

/** It says which program it is, as Envoy does, unless the bootstrap says otherwise. */
function nodeOf(api: EnvoyApi, { node }: { readonly node?: NodeMessage }): object {
  const message = node ?? decodeMessage(api, 'envoy.config.core.v3.Node', new Uint8Array(0)).message
  return node === undefined || node.userAgentName === ''
    ? Object.assign(message, { userAgentName: 'fairlead-proxy' })
    : message
}

/** @throws ControlPlaneError `config` of all that is wrong, where there is any. */
export function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return
  throw new ControlPlaneError(
    'config',
    `the bootstrap cannot be used:\n${problems.map((line) => `  ${line}`).join('\n')}`,
  )
}
