import type { DnsConfig } from './dns-config.ts'

/**
 * How long until a name is looked up again.
 * @param failures lookups in a row that failed, this one included
 */
export function nextRefresh(
  { refreshMs, failureRefresh, respectsTtl }: Pick<DnsConfig, 'refreshMs' | 'failureRefresh' | 'respectsTtl'>,
  ttlMs: number | undefined,
  failures: number,
  random: () => number,
): number {
  if (failures === 0) return respectsTtl && ttlMs !== undefined && ttlMs > 0 ? ttlMs : refreshMs
  if (failureRefresh === undefined) return refreshMs
  const { baseMs, maxMs } = failureRefresh
  // Up to what doubles from one failure to the next, by chance so that not all ask at once.
  return Math.min(maxMs, Math.max(1, random() * baseMs * 2 ** Math.min(failures - 1, 30)))
}
