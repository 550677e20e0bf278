/** What a host says of its load with a response: ORCA's `OrcaLoadReport`, as far as weights follow from it. */
export interface LoadReport {
  /** Requests a second that it serves. */
  readonly requestRate: number
  /** Errors a second. */
  readonly errorRate: number
  /** From 0; 1 is all it can do. */
  readonly utilization: number
}

/**
 * The header `endpoint-load-metrics`: `TEXT cpu_utilization=0.3, rps_fractional=10`, or `JSON {"cpu_utilization": 0.3, …}`.
 * Undefined for what is neither.
 */
export function parseLoadReport(header: string): LoadReport | undefined {
  const members = membersOf(header.trimStart())
  if (members === undefined) return undefined
  const number = (...names: readonly string[]): number => {
    for (const name of names) {
      const value = Number(members.get(name))
      if (value > 0) return value
    }
    return 0
  }
  return {
    requestRate: number('rps_fractional', 'rps'),
    errorRate: number('eps'),
    utilization: number('application_utilization', 'cpu_utilization', 'cpu'),
  }
}

function membersOf(text: string): ReadonlyMap<string, unknown> | undefined {
  if (text.startsWith('JSON ')) return jsonMembers(text.slice('JSON '.length))
  if (!text.startsWith('TEXT ')) return undefined
  const pairs = text.slice('TEXT '.length).split(',')
  return new Map(pairs.map((pair) => pair.split('=', 2).map((part) => part.trim()) as [string, string]))
}

function jsonMembers(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    // Proto's JSON form may write names either way.
    const underscored = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    return new Map(Object.entries(value).map(([name, member]) => [underscored(name), member]))
  } catch {
    return undefined
  }
}
