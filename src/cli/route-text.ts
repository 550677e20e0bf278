import { rounded } from '../request/match-text.ts'
import type { EndpointAnswer, RequestAnswer, RequestOutcome } from '../request/request-question.ts'

/** Where a Route stands, by its name and, where that is known, the rule's. */
export type PlaceOf = (route: string, rule: string) => string | undefined

/** How many endpoints of a cluster are shown. */
const maxEndpoints = 8

/** What a request takes, a line for each step: a word, a name, and what is to be said of it. */
export function formatRouteAnswer(answer: RequestAnswer, placeOf: PlaceOf): string {
  const { listener, filterChain, virtualHost, outcomes, nearest, notes } = answer
  const rows: string[][] = []
  if (listener !== undefined) rows.push(['listener', listener.name, listener.address ?? ''])
  if (filterChain !== undefined && filterChain !== '') rows.push(['chain', filterChain])
  if (virtualHost !== undefined) rows.push(['host', virtualHost, routePlace(outcomes[0]?.route, placeOf)])
  for (const outcome of outcomes) rows.push(...outcomeRows(outcome, outcomes.length > 1))
  for (const [index, { needs, got }] of (nearest?.lacks ?? []).entries()) {
    const head = index === 0 ? ['nearest', nearest?.route ?? ''] : ['', '']
    rows.push([...head, `needs ${needs} (${got})`])
  }
  for (const note of notes) rows.push(['note', note])
  return aligned(rows)
}

/** `Route cart, rule 1`, and where that stands, of a route that fairlead named. */
function routePlace(name: string | undefined, placeOf: PlaceOf): string {
  const [route = '', rule = ''] = (name ?? '').split('/')
  const place = placeOf(route, rule)
  return place === undefined ? '' : `Route ${route}  ${place}`
}

function outcomeRows(outcome: RequestOutcome, isOneOfSeveral: boolean): string[][] {
  const { share, route, match, timeout, retries, mirrors, path, host } = outcome
  const chance = isOneOfSeveral ? `${rounded(share)}% of them: ` : ''
  const policy = [
    ...(timeout === undefined ? [] : [timeout === 'none' ? 'no timeout' : `timeout ${timeout}`]),
    ...(retries === undefined ? [] : [`retries ${retries}`]),
  ].join(', ')
  const rows: string[][] =
    route === undefined ? [] : [['route', route, [`${chance}${match ?? ''}`, policy].join('  ').trimEnd()]]
  const said = saidOf(outcome)
  if (said !== undefined) rows.push(route === undefined ? ['answer', `${chance}${said}`] : ['answer', said])
  if (path !== undefined || host !== undefined) {
    rows.push(['rewrite', [...(path === undefined ? [] : [path]), ...(host ? [`Host: ${host}`] : [])].join('  ')])
  }
  rows.push(...clusterRows(outcome))
  for (const { name, share: mirrored } of mirrors) rows.push(['mirror', name, `${rounded(mirrored)}%`])
  return rows
}

function saidOf({ action, status, location, body, why }: RequestOutcome): string | undefined {
  switch (action) {
    case 'forward':
      return undefined
    case 'redirect':
      return [`${status} to ${location}`, ...(why === undefined ? [] : [`(${why})`])].join(' ')
    case 'respond':
      return [String(status), body ?? (why === undefined ? '' : `(${why})`)].join(' ').trimEnd()
    case 'not-found':
      return `404: ${why}`
    case 'closed':
      return `the connection is closed: ${why}`
    case 'unknown':
      return `cannot be told: ${why}`
  }
}

/** Of a cluster that has no endpoints. */
const emptyTexts = {
  'by-name': 'wherever the name leads',
  'by-destination': 'where it was going',
  'by-bootstrap': 'where the bootstrap says',
  nowhere: 'no endpoint: 503',
} as const

function clusterRows({ action, clusters }: RequestOutcome): string[][] {
  if (action === 'forward' && clusters.length === 0) return [['clusters', '(none)', '503']]
  return clusters.flatMap(({ name, share, exists, finds, endpoints }, index) => {
    const shown = endpoints.slice(0, maxEndpoints).map(endpointText)
    if (endpoints.length > maxEndpoints) shown.push(`and ${endpoints.length - maxEndpoints} more`)
    const none = exists ? emptyTexts[finds ?? 'nowhere'] : 'the proxy has no such cluster: 503'
    const [first = none, ...others] = shown
    if (clusters.length === 1) return [['cluster', name, first], ...others.map((text) => ['', '', text])]
    const word = index === 0 ? 'clusters' : ''
    return [[word, name, `${rounded(share)}%`, first], ...others.map((text) => ['', '', '', text])]
  })
}

function endpointText({ address, region, zone, health, priority }: EndpointAnswer): string {
  const details = [
    ...(region === undefined ? [] : [`region ${region}`]),
    ...(zone === undefined ? [] : [`zone ${zone}`]),
    ...(health === undefined ? [] : [health]),
    ...(priority === undefined ? [] : [`priority ${priority}`]),
  ]
  return details.length === 0 ? address : `${address} (${details.join(', ')})`
}

/** Columns two spaces apart; the last of a row is as long as it likes, and makes none wider. */
function aligned(rows: readonly (readonly string[])[]): string {
  const trimmed = rows.map((row) => row.slice(0, row.findLastIndex((cell) => cell !== '') + 1))
  const widths: number[] = []
  for (const row of trimmed) {
    for (const [column, cell] of row.slice(0, -1).entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  return trimmed
    .map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))))
    .map((cells) => cells.join('  ').trimEnd())
    .join('\n')
}
