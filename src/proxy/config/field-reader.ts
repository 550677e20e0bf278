import { ConfigRejection } from './config-rejection.ts'

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

/** What is made of a message, by those who read its fields. */
export type Read<T> = (fields: FieldReader) => T

/** What is made of an Any, by the full name of the message in it. */
export type ReadByType<T> = Readonly<Record<string, Read<T>>>

/**
 * One message of Envoy's API, in its JSON form with proto field names, of which each field is asked for by name. A field
 * that is set and that nobody asked for is refused: what this proxy does not do it never takes in silence.
 */
export class FieldReader {
  readonly #fields: JsonObject
  readonly #path: string
  readonly #problems: string[]
  readonly #unread: Set<string>

  private constructor(fields: JsonObject, path: string, problems: string[]) {
    this.#fields = fields
    this.#path = path
    this.#problems = problems
    this.#unread = new Set(Object.keys(fields).filter((name) => name !== '@type'))
  }

  /**
   * What `read` makes of a whole message.
   * @throws ConfigRejection that names every field which is refused.
   */
  static read<T>(message: JsonObject, read: Read<T>): T {
    const problems: string[] = []
    const content = new FieldReader(message, '', problems).#readWith(read)
    if (problems.length > 0) throw new ConfigRejection(problems.join('; '))
    return content
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined
  }

  /** Empty where it is absent. */
  string(name: string): string {
    return (this.#take(name) as string | undefined) ?? ''
  }

  strings(name: string): readonly string[] {
    return (this.#take(name) as readonly string[] | undefined) ?? []
  }

  /** 64-bit numbers too, as far as they are exact. */
  number(name: string): number | undefined {
    const value = this.#take(name)
    return value === undefined ? undefined : Number(value)
  }

  numbers(name: string): readonly number[] {
    return ((this.#take(name) as readonly (number | string)[] | undefined) ?? []).map(Number)
  }

  /** `false` where a plain bool is absent; a wrapper that is absent is `undefined` through `has`. */
  flag(name: string, byDefault = false): boolean {
    return (this.#take(name) as boolean | undefined) ?? byDefault
  }

  durationMs(name: string): number | undefined {
    const text = this.#take(name) as string | undefined
    return text === undefined ? undefined : Number(text.slice(0, -1)) * 1000
  }

  bytes(name: string): Buffer | undefined {
    const text = this.#take(name) as string | undefined
    return text === undefined ? undefined : Buffer.from(text, 'base64')
  }

  /** The name of an enum's value; the first is what an absent field means. Another one is refused. */
  choice<const Value extends string>(name: string, values: readonly [Value, ...Value[]]): Value {
    const value = this.#take(name) as string | undefined
    if (value === undefined) return values[0]
    const found = values.find((one) => one === value)
    if (found === undefined) this.refuse(name, `${value} is not supported`)
    return found ?? values[0]
  }

  message<T>(name: string, read: Read<T>): T | undefined {
    const value = this.#take(name) as JsonObject | undefined
    return value === undefined ? undefined : this.#within(value, name).#readWith(read)
  }

  list<T>(name: string, read: Read<T>): readonly T[] {
    const values = (this.#take(name) as readonly JsonObject[] | undefined) ?? []
    return values.map((value, index) => this.#within(value, `${name}[${index}]`).#readWith(read))
  }

  map<T>(name: string, read: (fields: FieldReader, key: string) => T): ReadonlyMap<string, T> {
    const values = (this.#take(name) as Readonly<Record<string, JsonObject>> | undefined) ?? {}
    return new Map(
      Object.entries(values).map(([key, value]) => [
        key,
        this.#within(value, `${name}[${key}]`).#readWith((fields) => read(fields, key)),
      ]),
    )
  }

  /** An Any; a type that is not in `types` is refused by its name. */
  any<T>(name: string, types: ReadByType<T>): T | undefined {
    const value = this.#take(name) as JsonObject | undefined
    return value === undefined ? undefined : this.#within(value, name).#readTyped(types)
  }

  /** A map of Anys, as `typed_per_filter_config`. */
  anyMap<T>(name: string, types: ReadByType<T>): ReadonlyMap<string, T> {
    const values = (this.#take(name) as Readonly<Record<string, JsonObject>> | undefined) ?? {}
    const read = new Map<string, T>()
    for (const [key, value] of Object.entries(values)) {
      const content = this.#within(value, `${name}[${key}]`).#readTyped(types)
      if (content !== undefined) read.set(key, content)
    }
    return read
  }

  /** A `google.protobuf.Struct`, or a map of plain values. */
  struct(name: string): JsonObject | undefined {
    return this.#take(name) as JsonObject | undefined
  }

  /** Refuses a field for a reason: `lb_policy: CLUSTER_PROVIDED is not supported`. */
  refuse(name: string, why: string): void {
    this.#problems.push(`${this.#at(name)}: ${why}`)
  }

  /** Takes a field that has no effect here; the reason is for who reads the code. */
  ignore(name: string, _why: string): void {
    this.#unread.delete(name)
  }

  #take(name: string): Json | undefined {
    this.#unread.delete(name)
    return this.#fields[name]
  }

  #within(fields: JsonObject, name: string): FieldReader {
    return new FieldReader(fields, this.#at(name), this.#problems)
  }

  #at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }

  #readWith<T>(read: Read<T>): T {
    const content = read(this)
    for (const name of this.#unread) this.refuse(name, 'the reference proxy does not know this field')
    return content
  }

  #readTyped<T>(types: ReadByType<T>): T | undefined {
    const type = (this.#fields['@type'] as string).replace(/^.*\//, '')
    const read = types[type]
    if (read !== undefined) return this.#readWith(read)
    this.#problems.push(`${this.#path}: the reference proxy does not know ${type}`)
    return undefined
  }
}
