import { formatAddress, parseAddress } from './address.ts'

/** How an option's value is written. */
export type OptionType =
  /** On or off; as a flag without a value. */
  | 'switch'
  | 'text'
  | 'path'
  /** Several paths: the flag repeated, a comma between them in the environment, a list in the file. */
  | 'paths'
  /** Several URLs, with commas between them everywhere. */
  | 'urls'
  /** `host:port`. */
  | 'address'
  /** Kept in milliseconds. */
  | 'duration'
  /** Kept in bytes. */
  | 'size'
  | 'count'
  /** One of the option's words. */
  | 'choice'
  /** Names of resources by type; in the file only. */
  | 'names'

/** A value as it is kept, or why it cannot be. */
export type ParsedValue = { readonly value: unknown } | { readonly expected: string }

export interface ValueBounds {
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
}

/** A timer of Node fires at once when it is set for more than 24.8 days. */
const maxDurationMs = 24 * 3_600_000

/** Reads a value as a flag, a variable or the file gives it: flags and variables give texts, the file its own types too. */
export function parseOptionValue(type: OptionType, given: unknown, bounds: ValueBounds): ParsedValue {
  if (given === '' || given === null) return { expected: 'a value; it is empty' }
  switch (type) {
    case 'switch':
      return parseSwitch(given)
    case 'text':
    case 'path':
      return typeof given === 'string' ? { value: given } : { expected: 'a text' }
    case 'paths':
      return parseList(given, (text) => ({ value: text }))
    case 'urls':
      return parseList(typeof given === 'string' ? given.split(',') : given, parseUrl)
    case 'address':
      return parseListen(given)
    case 'duration':
      return within(parseDuration(given), { max: maxDurationMs, ...bounds }, formatDuration)
    case 'size':
      return within(parseSize(given), bounds, formatSize)
    case 'count':
      return within(parseCount(given), bounds, String)
    case 'choice':
      return parseChoice(given, bounds.choices ?? [])
    case 'names':
      return parseNames(given)
  }
}

/** A value as a person writes it, so that `parseOptionValue` reads the same again. */
export function formatOptionValue(type: OptionType, value: unknown): unknown {
  if (type === 'duration') return formatDuration(value as number)
  if (type === 'size') return formatSize(value as number)
  return value
}

function parseSwitch(given: unknown): ParsedValue {
  if (given === true || given === 'true' || given === '1') return { value: true }
  if (given === false || given === 'false' || given === '0') return { value: false }
  return { expected: 'true or false' }
}

function parseChoice(given: unknown, choices: readonly string[]): ParsedValue {
  // A flag without its value means the plain yes: `--rest`.
  const word = given === true ? 'on' : given === false ? 'off' : given
  if (typeof word === 'string' && choices.includes(word)) return { value: word }
  return { expected: `one of ${choices.join(', ')}` }
}

function parseList(given: unknown, parseItem: (text: string) => ParsedValue): ParsedValue {
  const items: readonly unknown[] = Array.isArray(given) ? given : [given]
  const values: unknown[] = []
  for (const item of items.flatMap((part) => (typeof part === 'string' ? part.trim() : part))) {
    if (typeof item !== 'string' || item === '') return { expected: 'a text, or several, none of them empty' }
    const parsed = parseItem(item)
    if ('expected' in parsed) return parsed
    values.push(parsed.value)
  }
  return { value: values }
}

function parseUrl(text: string): ParsedValue {
  const expected = 'URLs such as http://10.0.0.1:2379, with commas between them'
  const withScheme = text.includes('://') ? text : `http://${text}`
  if (!URL.canParse(withScheme)) return { expected }
  const url = new URL(withScheme)
  if (url.username !== '' || url.password !== '') {
    return { expected: 'URLs without a password: give --etcd-user and --etcd-password-file' }
  }
  const isPlain = url.pathname === '/' && url.search === '' && url.hash === '' && url.hostname !== ''
  if (!isPlain || !['http:', 'https:'].includes(url.protocol)) return { expected }
  return { value: withScheme.replace(/\/$/, '') }
}

function parseListen(given: unknown): ParsedValue {
  const address = typeof given === 'string' ? parseAddress(given) : undefined
  if (address === undefined) return { expected: 'host:port, such as 127.0.0.1:18000, [::1]:18000 or :18000' }
  return { value: formatAddress(address) }
}

function within(value: number | string, { min, max }: ValueBounds, format: (value: number) => string): ParsedValue {
  if (typeof value === 'string') return { expected: value }
  if (min !== undefined && value < min) return { expected: `at least ${format(min)}` }
  if (max !== undefined && value > max) return { expected: `at most ${format(max)}` }
  return { value }
}

function parseCount(given: unknown): number | string {
  const isCount = (typeof given === 'number' || typeof given === 'string') && /^\d{1,15}$/.test(String(given))
  return isCount ? Number(given) : 'a whole number'
}

const durationUnits: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/** In milliseconds; a text says what was expected. */
function parseDuration(given: unknown): number | string {
  const text = String(given)
  if (text === '0') return 0
  if (!/^(?:\d+(?:\.\d+)?(?:ms|h|m|s))+$/.test(text)) return 'a duration such as 500ms, 2s or 1m30s, with its unit'
  let ms = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)) {
    ms += Number(amount) * (durationUnits[unit ?? ''] ?? 0)
  }
  return Math.round(ms)
}

/** `90000` is `1m30s`. */
function formatDuration(ms: number): string {
  let rest = ms
  let text = ''
  for (const [unit, size] of Object.entries(durationUnits)) {
    const amount = Math.floor(rest / size)
    if (amount > 0) text += `${amount}${unit}`
    rest -= amount * size
  }
  return text === '' ? '0' : text
}

const sizeUnits: Readonly<Record<string, number>> = {
  GiB: 2 ** 30,
  MiB: 2 ** 20,
  KiB: 2 ** 10,
  GB: 1e9,
  MB: 1e6,
  KB: 1e3,
  kB: 1e3,
  B: 1,
  '': 1,
}

/** In bytes; a text says what was expected. */
function parseSize(given: unknown): number | string {
  const [, amount, unit] = /^(\d{1,15}(?:\.\d+)?) ?([KMG]i?B|kB|B|)$/.exec(String(given)) ?? []
  if (amount === undefined || unit === undefined) return 'a size such as 64MiB, 256MB or a number of bytes'
  return Math.round(Number(amount) * (sizeUnits[unit] ?? 1))
}

function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const size = sizeUnits[unit] ?? 1
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`
  }
  return String(bytes)
}

function parseNames(given: unknown): ParsedValue {
  const expected = 'lists of names by type, such as {cluster: [xds]}'
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return { expected }
  const names: Record<string, readonly string[]> = {}
  for (const [type, list] of Object.entries(given)) {
    const parsed = parseList(list, (text) => ({ value: text }))
    if ('expected' in parsed) return { expected }
    names[type] = parsed.value as readonly string[]
  }
  return { value: names }
}
