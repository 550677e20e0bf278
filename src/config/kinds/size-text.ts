const factors: Readonly<Record<string, number>> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** The bytes of `65536` or `64KiB`; undefined for a text that is no size. */
export function sizeOfText(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,10}) ?(B|KiB|MiB|GiB)?$/.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (factors[unit] as number)
}
