import { type DescField, type DescMessage, type DescOneof, type Message, toBinary } from '@bufbuild/protobuf'
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import { type Any, FeatureSet_FieldPresence, isWrapperDesc } from '@bufbuild/protobuf/wkt'
import { optionOf } from '../descriptor-option.ts'
import type { EnvoyApi } from '../envoy-api.ts'
import { unpackAny } from '../json/any.ts'
import { createReach, isAnyType } from '../references/reach.ts'
import { type Breach, type Check, viewRules } from './rule-view.ts'
import { valueCheck } from './value-rules.ts'

/** A value that breaks a `validate.rules` option of the API. */
export interface RuleViolation {
  /** From the message that was given: proto field names, list indices and map keys. An Any adds nothing. */
  readonly path: readonly (string | number)[]
  /** What is wrong, without the field: `must be at least 1 character long`. Never quotes the value. */
  readonly message: string
  /** What to do: `give cluster_name a value`. */
  readonly fix: string
}

/**
 * Every place where `message`, or a known message packed in it, breaks the API's `validate.rules`
 * (protoc-gen-validate's, as Envoy enforces them): one violation a value, in the order of the fields.
 */
export function validateMessage(api: EnvoyApi, desc: DescMessage, message: Message): RuleViolation[] {
  const walk: Walk = { book: ruleBookOf(api), path: [], violations: [] }
  visitMessage(walk, reflect(desc, message, false))
  return walk.violations
}

interface Walk {
  readonly book: RuleBook
  /** Where the walk stands; copied into a violation. */
  readonly path: (string | number)[]
  readonly violations: RuleViolation[]
}

type Step = (walk: Walk, message: ReflectMessage) => void

/** The rules of one API, compiled a message type at a time when it is first met. */
interface RuleBook {
  readonly api: EnvoyApi
  readonly steps: Map<DescMessage, readonly Step[]>
  /** Whether a message of this type can break a rule, anywhere in it. */
  readonly hasRulesBelow: (desc: DescMessage) => boolean
}

const books = new WeakMap<EnvoyApi, RuleBook>()

function ruleBookOf(api: EnvoyApi): RuleBook {
  const known = books.get(api)
  if (known) return known
  const book: RuleBook = { api, steps: new Map(), hasRulesBelow: createReach((desc) => hasOwnRules(api, desc)) }
  books.set(api, book)
  return book
}

function hasOwnRules(api: EnvoyApi, desc: DescMessage): boolean {
  return (
    desc.fields.some((field) => rulesOf(api, field) !== undefined) ||
    desc.oneofs.some((oneof) => optionOf(api, oneof, 'validate.required') === true)
  )
}

function rulesOf(api: EnvoyApi, field: DescField): ReflectMessage | undefined {
  return optionOf(api, field, 'validate.rules') as ReflectMessage | undefined
}

function visitMessage(walk: Walk, message: ReflectMessage): void {
  if (isAnyType(message.desc)) {
    const packed = unpackAny(walk.book.api, message.message as Any)
    if (packed) visitMessage(walk, reflect(packed.desc, packed.message, false))
    return
  }
  if (!walk.book.hasRulesBelow(message.desc)) return
  for (const step of stepsOf(walk.book, message.desc)) step(walk, message)
}

function report(walk: Walk, breach: Breach): void {
  walk.violations.push({ path: [...walk.path], ...breach })
}

function stepsOf(book: RuleBook, desc: DescMessage): readonly Step[] {
  const known = book.steps.get(desc)
  if (known) return known
  const isOff = ['validate.disabled', 'validate.ignored'].some((option) => optionOf(book.api, desc, option) === true)
  const steps = isOff ? [] : desc.members.flatMap((member) => memberSteps(book, member))
  book.steps.set(desc, steps)
  return steps
}

function memberSteps(book: RuleBook, member: DescField | DescOneof): Step[] {
  if (member.kind === 'field') return fieldSteps(book, member)
  const steps = member.fields.flatMap((field) => fieldSteps(book, field))
  if (optionOf(book.api, member, 'validate.required') === true) steps.push(requiredOneof(member))
  return steps
}

function requiredOneof(oneof: DescOneof): Step {
  const names = oneof.fields.map(labelOf)
  const text = names.length === 1 ? `${names[0]}` : `one of ${names.join(', ')}`
  const breach = { message: `must have ${text}`, fix: `set ${text}` }
  return (walk, message) => {
    if (!message.oneofCase(oneof)) report(walk, breach)
  }
}

function fieldSteps(book: RuleBook, field: DescField): Step[] {
  const rules = rulesOf(book.api, field)
  const steps: (Step | undefined)[] = []
  if (field.fieldKind === 'list') steps.push(listStep(book, field, rules))
  else if (field.fieldKind === 'map') steps.push(mapStep(book, field, rules))
  else steps.push(requiredField(field, rules), singleStep(book, field, rules))
  return steps.filter((step) => step !== undefined)
}

/** `required` stands in the rules of messages and, again, in those of Any, Duration and Timestamp. */
function requiredField(field: DescField, rules: ReflectMessage | undefined): Step | undefined {
  if (!rules || field.oneof) return undefined
  const isRequired = ['message', 'any', 'duration', 'timestamp'].some((kind) => {
    const part = viewRules(rules).one(kind) as ReflectMessage | undefined
    return part !== undefined && viewRules(part).flag('required')
  })
  if (!isRequired) return undefined
  const breach = { message: 'must be set', fix: `add ${labelOf(field)}` }
  return inField(field, (walk, message) => {
    if (!message.isSet(field)) report(walk, breach)
  })
}

function singleStep(book: RuleBook, field: DescField, rules: ReflectMessage | undefined): Step | undefined {
  const visit = visitor(book, field, rules, labelOf(field))
  if (!visit) return undefined
  // Without presence there is no telling an absent value from a zero, so the zero is held against the rules.
  const isAlwaysThere = field.presence === FeatureSet_FieldPresence.IMPLICIT && !field.oneof && !field.message
  return inField(field, (walk, message) => {
    if (isAlwaysThere || message.isSet(field)) visit(walk, message.get(field))
  })
}

/** As people write it: our own documents are in camel case, Envoy's in that of its API. */
function labelOf(field: DescField): string {
  return field.parent.typeName.startsWith('fairlead.') ? field.jsonName : field.name
}

function inField(field: DescField, step: Step): Step {
  return (walk, message) => {
    walk.path.push(field.name)
    step(walk, message)
    walk.path.pop()
  }
}

type Visitor = (walk: Walk, value: unknown) => void

/** What is to be done with one value (of a field, a list or a map); undefined when nothing is. */
function visitor(
  book: RuleBook,
  field: DescField,
  rules: ReflectMessage | undefined,
  label: string,
): Visitor | undefined {
  const type = field.message
  const check = rules && withoutWrapper(type, valueCheck(rules, label, field.enum))
  const messageRules = rules && (viewRules(rules).one('message') as ReflectMessage | undefined)
  const isSkipped = messageRules !== undefined && viewRules(messageRules).flag('skip')
  const descends = type !== undefined && !isSkipped && book.hasRulesBelow(type)
  if (!check && !descends) return undefined
  return (walk, value) => {
    const breach = check?.(value)
    if (breach) report(walk, breach)
    if (descends) visitMessage(walk, value as ReflectMessage)
  }
}

/** The scalar rules of a `UInt32Value` (and its like) are about the number in it. */
function withoutWrapper(type: DescMessage | undefined, check: Check | undefined): Check | undefined {
  const inner = type && isWrapperDesc(type) ? type.fields[0] : undefined
  if (!check || !inner) return check
  return (value) => check((value as ReflectMessage).get(inner))
}

function listStep(
  book: RuleBook,
  field: DescField & { fieldKind: 'list' },
  fieldRules: ReflectMessage | undefined,
): Step | undefined {
  const rules = subRules(fieldRules, 'repeated')
  const visit = visitor(
    book,
    field,
    rules?.one('items') as ReflectMessage | undefined,
    `each item of ${labelOf(field)}`,
  )
  if (!rules && !visit) return undefined
  const size = rules && sizeCheck(labelOf(field), 'item', rules.size('min_items'), rules.size('max_items'))
  const isUnique = rules?.flag('unique') ?? false
  const ignoresEmpty = rules?.flag('ignore_empty') ?? false
  return inField(field, (walk, message) => {
    const list = message.get(field) as ReflectList
    if (list.size === 0 && ignoresEmpty) return
    const breach = size?.(list.size)
    if (breach) report(walk, breach)
    const seen = new Set<unknown>()
    for (const [index, item] of list.entries()) {
      walk.path.push(index)
      if (isUnique) {
        const identity = identityOf(item)
        if (seen.has(identity))
          report(walk, { message: 'must not be there twice', fix: `take the repeated item out of ${labelOf(field)}` })
        seen.add(identity)
      }
      visit?.(walk, item)
      walk.path.pop()
    }
  })
}

function identityOf(item: unknown): unknown {
  if (item instanceof Uint8Array) return Buffer.from(item).toString('hex')
  if (typeof item !== 'object' || item === null) return item
  const message = item as ReflectMessage
  return Buffer.from(toBinary(message.desc, message.message)).toString('hex')
}

/** `no_sparse` has nothing to forbid: a map read from JSON or bytes has a value for every key. */
function mapStep(
  book: RuleBook,
  field: DescField & { fieldKind: 'map' },
  fieldRules: ReflectMessage | undefined,
): Step | undefined {
  const rules = subRules(fieldRules, 'map')
  const keyRules = rules?.one('keys') as ReflectMessage | undefined
  const checkKey = keyRules && valueCheck(keyRules, `each key of ${labelOf(field)}`, undefined)
  const visit = visitor(
    book,
    field,
    rules?.one('values') as ReflectMessage | undefined,
    `each value of ${labelOf(field)}`,
  )
  if (!rules && !visit) return undefined
  const size = rules && sizeCheck(labelOf(field), 'entry', rules.size('min_pairs'), rules.size('max_pairs'))
  const ignoresEmpty = rules?.flag('ignore_empty') ?? false
  return inField(field, (walk, message) => {
    const map = message.get(field) as ReflectMap
    if (map.size === 0 && ignoresEmpty) return
    const breach = size?.(map.size)
    if (breach) report(walk, breach)
    for (const [key, value] of map) {
      walk.path.push(String(key))
      const keyBreach = checkKey?.(key)
      if (keyBreach) report(walk, { message: `key ${keyBreach.message}`, fix: keyBreach.fix })
      visit?.(walk, value)
      walk.path.pop()
    }
  })
}

function subRules(rules: ReflectMessage | undefined, kind: string): ReturnType<typeof viewRules> | undefined {
  const part = rules && (viewRules(rules).one(kind) as ReflectMessage | undefined)
  return part && viewRules(part)
}

function sizeCheck(
  name: string,
  unit: 'item' | 'entry',
  atLeast: number | undefined,
  atMost: number | undefined,
): (size: number) => Breach | undefined {
  const count = (size: number): string => `${size} ${size === 1 ? unit : unit === 'item' ? 'items' : 'entries'}`
  return (size) => {
    if (atLeast !== undefined && size < atLeast) {
      const text = `at least ${count(atLeast)}`
      return { message: `must have ${text}`, fix: atLeast === 1 ? `add an ${unit} to ${name}` : `give ${name} ${text}` }
    }
    if (atMost !== undefined && size > atMost) {
      return { message: `must have at most ${count(atMost)}`, fix: `leave at most ${count(atMost)} in ${name}` }
    }
    return undefined
  }
}
