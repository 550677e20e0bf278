import type { ReflectMessage } from '@bufbuild/protobuf/reflect'
import { orderedChecks } from './ordered-rules.ts'
import { type Check, firstOf, must, type RuleView } from './rule-view.ts'

/** `DurationRules`, less `required`: a rule of the field, not of the value. */
export function durationCheck(rules: RuleView, label: string): Check | undefined {
  return firstOf(orderedChecks(rules, label, nanosOf, showSeconds))
}

/** `TimestampRules`, less `required`. */
export function timestampCheck(rules: RuleView, label: string): Check | undefined {
  const checks = orderedChecks(rules, label, nanosOf, showInstant)
  if (rules.flag('lt_now')) {
    checks.push(must((value) => nanosOf(value) < now(), 'must lie in the past', `set ${label} to a past time`))
  }
  if (rules.flag('gt_now')) {
    checks.push(must((value) => nanosOf(value) > now(), 'must lie in the future', `set ${label} to a future time`))
  }
  const within = rules.one('within')
  if (within !== undefined) {
    const reach = nanosOf(within)
    const text = `within ${showSeconds(reach)} of now`
    checks.push(
      must(
        (value) => {
          const distance = nanosOf(value) - now()
          return distance <= reach && -distance <= reach
        },
        `must lie ${text}`,
        `set ${label} to a time ${text}`,
      ),
    )
  }
  return firstOf(checks)
}

function now(): bigint {
  return BigInt(Date.now()) * 1_000_000n
}

const nanosPerSecond = 1_000_000_000n

/** Duration and Timestamp have the same two fields. */
function nanosOf(value: unknown): bigint {
  const message = value as ReflectMessage
  const field = (name: string): bigint => {
    const desc = message.desc.fields.find((field) => field.name === name)
    return desc ? BigInt(message.get(desc) as number | bigint) : 0n
  }
  return field('seconds') * nanosPerSecond + field('nanos')
}

function showSeconds(nanos: number | bigint): string {
  const total = BigInt(nanos)
  const size = total < 0n ? -total : total
  const fraction = (size % nanosPerSecond).toString().padStart(9, '0').replace(/0+$/, '')
  return `${total < 0n ? '-' : ''}${size / nanosPerSecond}${fraction && `.${fraction}`}s`
}

function showInstant(nanos: number | bigint): string {
  const date = new Date(Number(BigInt(nanos) / 1_000_000n))
  return Number.isNaN(date.getTime()) ? showSeconds(nanos) : date.toISOString()
}
