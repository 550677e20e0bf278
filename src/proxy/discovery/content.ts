import { createHash } from 'node:crypto'
import { messageOf } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { type DecodedMessage, decodeMessage } from '../../resource/json/codec.ts'
import { messageJson, typedJson } from '../../resource/json/message-json.ts'
import { type RuleViolation, validateMessage } from '../../resource/rules/validate-rules.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { Packed } from './envelopes.ts'

export interface Content {
  readonly name: string
  readonly json: JsonObject
  /** What breaks the API's rules in what is packed within it: of this resource only. */
  readonly inner: string | undefined
}

/**
 * The content of a resource in its JSON form, the same object for the same bytes in the whole process.
 * @throws ConfigRejection when it is no such message or breaks a rule of the API, which rejects the whole response.
 */
export function contentOf(api: EnvoyApi, packed: Packed): Content {
  const known = knownOf(api).get(packed)
  if (known !== undefined) return { name: nameOf(known), json: known, inner: undefined }
  const decoded = decode(api, packed)
  const json = frozen(
    typedJson(decoded.desc, messageJson({ api, redact: false, depth: 0 }, decoded.desc, decoded.message)),
  )
  const name = nameOf(json)
  const violations = validateMessage(api, decoded.desc, decoded.message).map((violation) =>
    told(decoded.desc, violation),
  )
  const outer = violations.find(({ isInAny }) => !isInAny)
  if (outer !== undefined) throw new ConfigRejection(dumped(json, outer.text))
  const inner = violations[0]
  if (inner === undefined) knownOf(api).add(packed, json)
  return { name, json, inner: inner && inner.text }
}

function decode(api: EnvoyApi, { typeUrl, bytes }: Packed): DecodedMessage {
  try {
    return decodeMessage(api, typeUrl, bytes)
  } catch (error) {
    throw new ConfigRejection(messageOf(error))
  }
}

/** Of an assignment it is the name of its cluster, as clusters call it. */
function nameOf(json: JsonObject): string {
  return ((json['name'] ?? json['cluster_name']) as string | undefined) ?? ''
}

/** As Envoy says it, with the name as the only part of the resource that it shows. */
function dumped(json: JsonObject, text: string): string {
  const [field] = ['name', 'cluster_name'].filter((name) => json[name] !== undefined)
  return field === undefined ? text : `goo.gle/debugstr  \n${field}: "${nameOf(json)}"\n: ${text}`
}

type Desc = DecodedMessage['desc']

/** `Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)`. */
function told(desc: Desc, { path, message }: RuleViolation): { readonly text: string; readonly isInAny: boolean } {
  const links: string[] = []
  let at: Desc | undefined = desc
  let isInAny = false
  for (const [index, step] of path.entries()) {
    if (typeof step === 'number') continue
    if (at?.typeName === 'google.protobuf.Any') isInAny = true
    const field: Desc['fields'][number] | undefined = at?.fields.find(({ name }) => name === step)
    const isLast = path.slice(index + 1).every((rest) => typeof rest === 'number')
    if (field !== undefined) {
      const isOneof = isLast && message.startsWith(absentOneof)
      const isInner = !isLast || isOneof
      const why = isInner ? 'embedded message failed validation' : reasonOf(message)
      links.push(`${at?.name}ValidationError.${camel(step)}: ${why}`)
      if (isOneof) links.push(`field: "${oneofIn(field.message, message)}", reason: is required`)
    }
    at = field?.message
  }
  // Within an Any, what it holds is known by its rules only.
  if (isInAny || links.length === 0) links.splice(0, links.length, `${path.join('.')}: value ${message}`)
  return { text: `Proto constraint validation failed (${links.join(' | caused by ')})`, isInAny }
}

const absentOneof = 'must have '

/** Of all the ways in which PGV says that something lacks, the ones of Envoy. */
const reasonOf = (message: string): string => (message === 'must be set' ? 'value is required' : `value ${message}`)

/** The group of fields of which one has to be set, by the first of them. */
function oneofIn(desc: Desc | undefined, message: string): string {
  const oneof = desc?.oneofs.find(({ fields }) => fields[0] !== undefined && message.includes(fields[0].name))
  return oneof?.name ?? ''
}

const camel = (name: string): string =>
  name.replaceAll(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const member of Object.values(value)) frozen(member)
    Object.freeze(value)
  }
  return value
}

/** Contents by type and bytes, for as long as somebody uses them. */
class Known {
  readonly #contents = new Map<string, WeakRef<JsonObject>>()
  readonly #gone = new FinalizationRegistry<string>((key) => {
    if (this.#contents.get(key)?.deref() === undefined) this.#contents.delete(key)
  })

  get(packed: Packed): JsonObject | undefined {
    return this.#contents.get(keyOf(packed))?.deref()
  }

  add(packed: Packed, json: JsonObject): void {
    const key = keyOf(packed)
    this.#contents.set(key, new WeakRef(json))
    this.#gone.register(json, key)
  }
}

function keyOf({ typeUrl, bytes }: Packed): string {
  return createHash('sha256').update(typeUrl).update('\0').update(bytes).digest('base64')
}

const knownByApi = new WeakMap<EnvoyApi, Known>()

function knownOf(api: EnvoyApi): Known {
  const known = knownByApi.get(api) ?? new Known()
  knownByApi.set(api, known)
  return known
}
