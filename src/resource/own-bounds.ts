import type { DescField } from '@bufbuild/protobuf'
import { ScalarType } from '@bufbuild/protobuf'
import type { ReflectMessage } from '@bufbuild/protobuf/reflect'
import { optionOf } from './descriptor-option.ts'
import type { EnvoyApi } from './envoy-api.ts'
import { type RuleView, viewRules } from './rules/rule-view.ts'

/** What the rules of our own schema (`validate.rules`) allow of one value, or of each item of a list. */
export interface Bounds {
  readonly isInteger: boolean
  readonly minimum?: number
  readonly maximum?: number
  /** In characters. */
  readonly minLength?: number
  readonly maxLength?: number
  readonly prefix?: string
  /** RE2, of the whole text. */
  readonly pattern?: string
  readonly isIp: boolean
  /** These and no others. */
  readonly values?: readonly (string | number | boolean)[]
  /** Of the list. */
  readonly isUnique: boolean
}

const integers: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.UINT32,
  ScalarType.UINT64,
  ScalarType.INT32,
  ScalarType.INT64,
])

export function boundsOf(api: EnvoyApi, field: DescField): Bounds {
  const rules = optionOf(api, field, 'validate.rules') as ReflectMessage | undefined
  const repeated = partOf(rules, 'repeated')
  const items = repeated === undefined ? rules : (repeated.one('items') as ReflectMessage | undefined)
  const text = partOf(items, 'string')
  const number = partOf(items, 'uint32') ?? partOf(items, 'double')
  return {
    isInteger: integers.has(field.scalar),
    ...defined('minimum', number?.size('gte')),
    ...defined('maximum', number?.size('lte')),
    ...defined('minLength', text?.size('min_len')),
    ...defined('maxLength', text?.size('max_len')),
    ...defined('prefix', text?.one('prefix') as string | undefined),
    ...defined('pattern', text?.one('pattern') as string | undefined),
    isIp: text?.flag('ip') ?? false,
    ...defined('values', allowed(text) ?? allowed(number) ?? allowed(partOf(items, 'bool'))),
    isUnique: repeated?.flag('unique') ?? false,
  }
}

function partOf(rules: ReflectMessage | undefined, kind: string): RuleView | undefined {
  const part = rules && (viewRules(rules).one(kind) as ReflectMessage | undefined)
  return part && viewRules(part)
}

function allowed(rules: RuleView | undefined): Bounds['values'] {
  const exact = rules?.one('const') as string | number | boolean | undefined
  if (exact !== undefined) return [exact]
  const values = (rules?.many('in') ?? []) as (string | number)[]
  return values.length === 0 ? undefined : values
}

function defined<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V })
}
