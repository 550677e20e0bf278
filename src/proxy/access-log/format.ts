import { ConfigRejection } from '../config/config-rejection.ts'
import type { FormatSubject, Operator, OperatorValue } from './format-subject.ts'
import { compileOperator } from './operators.ts'

/** A template whose command operators are filled in for one stream. */
export type Format = (subject: FormatSubject) => string

/** What stands for an operator that has no value: `-` in access logs, nothing in headers. */
export type Missing = '-' | ''

/**
 * Reads a template with command operators: `%REQ(:METHOD)% %RESPONSE_CODE%`; `%%` is a percent sign.
 * @throws ConfigRejection for an operator that is not known, or a `%` that belongs to none
 */
export function compileFormat(template: string, missing: Missing): Format {
  const parts = parseTemplate(template)
  const [first] = parts
  if (first === undefined) return () => ''
  if (parts.length === 1) {
    if (typeof first === 'string') return () => first
    return (subject) => textOf(first(subject), missing)
  }
  return (subject) => {
    let text = ''
    for (const part of parts) text += typeof part === 'string' ? part : textOf(part(subject), missing)
    return text
  }
}

/** The same for a JSON value: a lone operator keeps its type, and is null where it has no value. */
export function compileJsonFormat(template: string): (subject: FormatSubject) => unknown {
  const parts = parseTemplate(template)
  const [first] = parts
  if (parts.length === 1 && typeof first === 'function') return (subject) => first(subject) ?? null
  return compileFormat(template, '-')
}

function textOf(value: OperatorValue, missing: Missing): string {
  if (value === undefined) return missing
  if (typeof value === 'string') return value
  return typeof value === 'number' ? String(value) : JSON.stringify(value)
}

function parseTemplate(template: string): readonly (string | Operator)[] {
  const parts: (string | Operator)[] = []
  let literal = ''
  let at = 0
  while (at < template.length) {
    const percent = template.indexOf('%', at)
    if (percent < 0) {
      literal += template.slice(at)
      break
    }
    literal += template.slice(at, percent)
    if (template[percent + 1] === '%') {
      literal += '%'
      at = percent + 2
      continue
    }
    const match = /^%([A-Z0-9_]+)(?:\((.*?)\))?(?::(\d+))?%/s.exec(template.slice(percent))
    if (match === null)
      throw new ConfigRejection(
        `Incorrect configuration: ${template}. Couldn't find valid command at position ${percent}`,
      )
    const [whole, command, argument, length] = match
    if (literal !== '') parts.push(literal)
    literal = ''
    const operator = compileOperator(command as string, argument)
    parts.push(length === undefined ? operator : shortened(operator, Number(length)))
    at = percent + whole.length
  }
  if (literal !== '') parts.push(literal)
  return parts
}

const shortened =
  (operator: Operator, length: number): Operator =>
  (subject) => {
    const value = operator(subject)
    return typeof value === 'string' ? value.slice(0, length) : value
  }
