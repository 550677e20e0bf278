import { headerText, pathText, queryText } from './condition-text.ts'
import type { RouteMatchForm } from './envoy-form.ts'
import { evaluated } from './match-route.ts'
import { percentOf } from './string-match.ts'

/** What a route matches, for people: `prefix /api, header x-group: beta`. */
export function matchText(match: RouteMatchForm): string {
  const fraction = match.runtime_fraction?.default_value
  return [
    pathText(match),
    ...(match.headers ?? []).map(headerText),
    ...(match.query_parameters ?? []).map(queryText),
    ...(match.grpc === undefined ? [] : ['gRPC']),
    ...(fraction === undefined ? [] : [`${rounded(percentOf(fraction))}% of it`]),
    ...Object.keys(match).filter((field) => !evaluated.has(field)),
  ].join(', ')
}

/** Three digits say enough of a share. */
export const rounded = (percent: number): number => Number(percent.toPrecision(3))
