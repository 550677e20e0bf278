import type { EdgeRules } from '../manager-config.ts'

/** The authority without its port, where the rules say so, and without a dot at the end of the name. */
export function stripHost(
  authority: string,
  { stripsPort, stripsTrailingDot }: Pick<EdgeRules, 'stripsPort' | 'stripsTrailingDot'>,
  ownPort: number,
): string {
  const [, host = authority, port] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? []
  const goes = port !== undefined && (stripsPort === 'any' || (stripsPort === 'matching' && Number(port) === ownPort))
  const name = stripsTrailingDot && host.endsWith('.') ? host.slice(0, -1) : host
  return goes || port === undefined ? name : `${name}:${port}`
}
