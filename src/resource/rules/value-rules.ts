import type { DescEnum } from '@bufbuild/protobuf'
import type { ReflectMessage } from '@bufbuild/protobuf/reflect'
import { orderedChecks } from './ordered-rules.ts'
import { alternatives, type Check, firstOf, must, type RuleView, viewRules } from './rule-view.ts'
import { bytesCheck, stringCheck } from './text-rules.ts'
import { durationCheck, timestampCheck } from './time-rules.ts'

type CheckBuilder = (rules: RuleView, label: string, enumType: DescEnum | undefined) => Check | undefined

function numberCheck(toOrdered: (value: unknown) => number | bigint): CheckBuilder {
  return (rules, label) => {
    const check = firstOf(orderedChecks(rules, label, toOrdered, String))
    if (!check || !rules.flag('ignore_empty')) return check
    return (value) => (Number(value) === 0 ? undefined : check(value))
  }
}

const plainNumber = numberCheck((value) => value as number)
/** A JSON number keeps its double precision until it is encoded; the rule's limit is a float already. */
const floatNumber = numberCheck((value) => Math.fround(value as number))
const longNumber = numberCheck((value) => BigInt(value as bigint | string))

function boolCheck(rules: RuleView, label: string): Check | undefined {
  const exact = rules.one('const') as boolean | undefined
  return exact === undefined
    ? undefined
    : must((value: boolean) => value === exact, `must be ${exact}`, `set ${label} to ${exact}`)
}

function enumCheck(rules: RuleView, label: string, enumType: DescEnum | undefined): Check | undefined {
  const show = (value: number | bigint): string => enumType?.value[Number(value)]?.name ?? String(value)
  const checks = orderedChecks(rules, label, (value) => value as number, show)
  if (enumType && rules.flag('defined_only')) {
    checks.push(
      must(
        (value: number) => enumType.value[value] !== undefined,
        `must be a value of ${enumType.name}`,
        `set ${label} to ${alternatives(enumType.values.map((value) => value.name))}`,
      ),
    )
  }
  return firstOf(checks)
}

function anyCheck(rules: RuleView, label: string): Check | undefined {
  const typeUrlOf = (value: ReflectMessage): string => (value.message as unknown as { typeUrl: string }).typeUrl
  const checks: Check[] = []
  const allowed = rules.many('in') as string[]
  if (allowed.length > 0) {
    const list = alternatives(allowed)
    checks.push(
      must(
        (value: ReflectMessage) => allowed.includes(typeUrlOf(value)),
        `must be a ${list}`,
        `give ${label} a ${list}`,
      ),
    )
  }
  const refused = rules.many('not_in') as string[]
  if (refused.length > 0) {
    const list = alternatives(refused)
    checks.push(
      must(
        (value: ReflectMessage) => !refused.includes(typeUrlOf(value)),
        `must not be a ${list}`,
        `give ${label} another type than ${list}`,
      ),
    )
  }
  return firstOf(checks)
}

/** By the case of `FieldRules.type`. Lists and maps are no values: the walk handles them. */
const builders: Readonly<Record<string, CheckBuilder>> = {
  float: floatNumber,
  double: plainNumber,
  int32: plainNumber,
  int64: longNumber,
  uint32: plainNumber,
  uint64: longNumber,
  sint32: plainNumber,
  sint64: longNumber,
  fixed32: plainNumber,
  fixed64: longNumber,
  sfixed32: plainNumber,
  sfixed64: longNumber,
  bool: boolCheck,
  string: stringCheck,
  bytes: bytesCheck,
  enum: enumCheck,
  any: anyCheck,
  duration: durationCheck,
  timestamp: timestampCheck,
}

/** The check that a `FieldRules` asks of one value; undefined when it asks none. `label` names the value in fixes. */
export function valueCheck(rules: ReflectMessage, label: string, enumType: DescEnum | undefined): Check | undefined {
  const type = rules.oneofs.find((oneof) => oneof.name === 'type')
  const kind = type && rules.oneofCase(type)
  return kind && builders[kind.name]?.(viewRules(rules.get(kind) as ReflectMessage), label, enumType)
}
