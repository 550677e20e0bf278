import { ConfigRejection } from '../config/config-rejection.ts'

const pad = (value: number, width = 2): string => String(value).padStart(width, '0')

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

const dayOfYear = (time: Date): number =>
  Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0, 1)) / 86_400_000) + 1

/** The specifiers of strftime, in UTC. */
const specifiers: Readonly<Record<string, (time: Date) => string>> = {
  Y: (time) => String(time.getUTCFullYear()),
  y: (time) => pad(time.getUTCFullYear() % 100),
  m: (time) => pad(time.getUTCMonth() + 1),
  d: (time) => pad(time.getUTCDate()),
  e: (time) => String(time.getUTCDate()).padStart(2, ' '),
  H: (time) => pad(time.getUTCHours()),
  I: (time) => pad(time.getUTCHours() % 12 || 12),
  M: (time) => pad(time.getUTCMinutes()),
  S: (time) => pad(time.getUTCSeconds()),
  s: (time) => String(Math.floor(time.getTime() / 1000)),
  p: (time) => (time.getUTCHours() < 12 ? 'AM' : 'PM'),
  a: (time) => (weekdays[time.getUTCDay()] as string).slice(0, 3),
  A: (time) => weekdays[time.getUTCDay()] as string,
  b: (time) => (months[time.getUTCMonth()] as string).slice(0, 3),
  B: (time) => months[time.getUTCMonth()] as string,
  j: (time) => pad(dayOfYear(time), 3),
  F: (time) => time.toISOString().slice(0, 10),
  T: (time) => time.toISOString().slice(11, 19),
  R: (time) => time.toISOString().slice(11, 16),
  D: (time) => `${pad(time.getUTCMonth() + 1)}/${pad(time.getUTCDate())}/${pad(time.getUTCFullYear() % 100)}`,
  z: () => '+0000',
  Z: () => 'UTC',
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
}

/**
 * A format of strftime with Envoy's additions: `%3f` (digits of the fraction of a second), `%E3S` (seconds with them).
 * Without a format it is `2026-11-21T16:04:05.678Z`.
 * @throws ConfigRejection for a specifier that is not known
 */
export function compileTimeFormat(format: string): (time: Date) => string {
  if (format === '') return (time) => time.toISOString()
  const parts: ((time: Date) => string)[] = []
  let at = 0
  for (const match of format.matchAll(/%(?:E(\d)S|(\d?)f|(.))/gs)) {
    const [whole, secondDigits, digits, letter] = match
    const literal = format.slice(at, match.index)
    if (literal !== '') parts.push(() => literal)
    at = match.index + whole.length
    if (secondDigits !== undefined) parts.push((time) => `${pad(time.getUTCSeconds())}.${fraction(time, secondDigits)}`)
    else if (digits !== undefined) parts.push((time) => fraction(time, digits === '' ? '9' : digits))
    else parts.push(specifierOf(letter as string))
  }
  const rest = format.slice(at)
  if (rest !== '') parts.push(() => rest)
  return (time) => parts.map((part) => part(time)).join('')
}

function fraction(time: Date, digits: string): string {
  return pad(time.getUTCMilliseconds(), 3).padEnd(9, '0').slice(0, Number(digits))
}

function specifierOf(letter: string): (time: Date) => string {
  const found = specifiers[letter]
  if (found === undefined) throw new ConfigRejection(`the reference proxy does not know %${letter} in a time format`)
  return found
}
