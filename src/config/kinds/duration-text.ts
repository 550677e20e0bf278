const form =
  /^(?:(\d{1,9})(?:\.(\d{1,9}))?d)?(?:(\d{1,9})(?:\.(\d{1,9}))?h)?(?:(\d{1,9})(?:\.(\d{1,9}))?m(?!s))?(?:(\d{1,9})(?:\.(\d{1,9}))?s)?(?:(\d{1,9})(?:\.(\d{1,9}))?ms)?$/

/** Nanoseconds of the units, in the order of `form`. */
const units = [86_400_000_000_000n, 3_600_000_000_000n, 60_000_000_000n, 1_000_000_000n, 1_000_000n]

/** The nanoseconds of `500ms`, `1m30s` or `0.25s`, exactly; undefined for a text that is no duration. */
export function durationOfText(text: string): bigint | undefined {
  const match = text === '' ? null : form.exec(text)
  if (match === null) return undefined
  let nanos = 0n
  for (const [index, unit] of units.entries()) {
    const whole = match[1 + 2 * index]
    const fraction = match[2 + 2 * index] ?? ''
    if (whole === undefined) continue
    nanos += BigInt(whole) * unit + (BigInt(fraction.padEnd(9, '0')) * unit) / 1_000_000_000n
  }
  return nanos
}

/** The same as proto3 JSON writes it: `0.25s`. */
export function protoDuration(nanos: bigint): string {
  const fraction = (nanos % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '')
  return `${nanos / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`
}
