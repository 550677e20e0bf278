import { parseDocument } from 'yaml'
import { ControlPlaneError, messageOf } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { messageJson } from '../resource/json/message-json.ts'
import { readMessage } from '../resource/json/message-reader.ts'
import { validateMessage } from '../resource/rules/validate-rules.ts'
import type { Tree } from '../resource/tree.ts'
import { formatPath } from '../resource/tree-path.ts'
import type { JsonObject } from './config/field-reader.ts'

/** A bootstrap as Envoy's API reads it. */
export interface BootstrapMessage {
  readonly json: JsonObject
  /** Its `node`, as a message; undefined where it has none. */
  readonly node: object | undefined
}

const typeName = 'envoy.config.bootstrap.v3.Bootstrap'

/**
 * @param source YAML or JSON, or what either would be read as
 * @throws ControlPlaneError `config` that names every field which the API does not take, a line each.
 */
export function readBootstrapMessage(api: EnvoyApi, source: string | object): BootstrapMessage {
  const desc = api.registry.getMessage(typeName)
  if (desc === undefined) throw new ControlPlaneError('api', `the Envoy API (${api.label}) has no ${typeName}`)
  const { message, problems } = readMessage(api, desc, treeOf(plainOf(source)), '')
  const errors = problems.filter(({ severity }) => severity === 'error')
  refuse(errors.map((problem) => `${at(problem.path)}${problem.message} ${problem.fix}`.trimEnd()))
  refuse(validateMessage(api, desc, message).map((breach) => `${at(formatPath('', breach.path))}${breach.message}`))
  const json = messageJson({ api, redact: false, depth: 0 }, desc, message) as JsonObject
  return { json, node: (message as unknown as { readonly node?: object }).node }
}

/** @throws ControlPlaneError `config` of all that is wrong, where there is any. */
export function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return
  throw new ControlPlaneError(
    'config',
    `the bootstrap cannot be used:\n${problems.map((line) => `  ${line}`).join('\n')}`,
  )
}

const at = (path: string): string => (path === '' ? '' : `${path}: `)

function plainOf(source: string | object): unknown {
  if (typeof source !== 'string') return source
  const document = parseDocument(source, { intAsBigInt: false })
  const [error] = document.errors
  if (error !== undefined) refuse([messageOf(error)])
  return document.toJS()
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
