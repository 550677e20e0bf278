import { parseDocument } from 'yaml'
import { messageOf } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { type DecodedMessage, decodeMessage } from '../../resource/json/codec.ts'
import { readMessage } from '../../resource/json/message-reader.ts'
import type { Tree } from '../../resource/tree.ts'

export interface TextMessage extends DecodedMessage {
  /** All that is wrong with it: the place, and what is there. */
  readonly problems: readonly string[]
}

/**
 * A message of Envoy's API as people write it.
 * @param source YAML or JSON, or what either would be read as
 * @throws ControlPlaneError `api` where the API has no such message
 */
export function readMessageText(api: EnvoyApi, typeName: string, source: string | object): TextMessage {
  const { desc, message: empty } = decodeMessage(api, typeName, new Uint8Array(0))
  const { value, problem } = typeof source === 'string' ? parse(source) : { value: source }
  if (problem !== undefined) return { desc, message: empty, problems: [problem] }
  const { message, problems } = readMessage(api, desc, treeOf(value), '')
  const errors = problems.filter(({ severity }) => severity === 'error')
  return {
    desc,
    message,
    problems: errors.map(({ path, message: what, fix }) => `${path === '' ? '' : `${path}: `}${what} ${fix}`.trimEnd()),
  }
}

function parse(text: string): { readonly value?: unknown; readonly problem?: string } {
  const document = parseDocument(text)
  const [error] = document.errors
  return error === undefined ? { value: document.toJS() as unknown } : { problem: messageOf(error) }
}

const nowhere = { line: 1, column: 1 }

function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return { kind: 'list', ...nowhere, items: value.map(treeOf) }
  if (typeof value !== 'object' || value === null) {
    return { kind: 'scalar', ...nowhere, value: (value ?? null) as string | number | boolean | null }
  }
  // As JSON has it: what is undefined is not there.
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return {
    kind: 'map',
    ...nowhere,
    entries: members.map(([key, member]) => ({ key, ...nowhere, value: treeOf(member) })),
  }
}
