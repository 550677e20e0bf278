import type { Problem } from '../../src/errors.ts'
import type { NodeStatus } from '../../src/xds/status.ts'
import { eventually } from './poll.ts'

/** `/ready`, whatever its status. */
export interface ReadyAnswer {
  readonly status: number
  readonly ready: boolean
  readonly serving: string
  readonly revision: number
  readonly sources: readonly { readonly name: string; readonly state: string; readonly documents: number }[]
  readonly errors: number
  readonly withheld: readonly { readonly group: string; readonly reasons: readonly string[] }[]
  readonly leftOut: readonly string[]
}

/** What a person asks the admin API of a server, by its URL. */
export async function readiness(adminUrl: string): Promise<ReadyAnswer> {
  const response = await fetch(`${adminUrl}/ready`)
  return { status: response.status, ...((await response.json()) as Omit<ReadyAnswer, 'status'>) }
}

export async function problems(adminUrl: string): Promise<readonly (Problem & { readonly place: string })[]> {
  const body = (await getJson(`${adminUrl}/api/problems`)) as { problems: (Problem & { place: string })[] }
  return body.problems
}

/** The codes of all standing problems, each as often as it stands. */
export async function problemCodes(adminUrl: string): Promise<readonly string[]> {
  return (await problems(adminUrl)).map(({ code }) => code)
}

/** Resolves when these are the standing problems. @throws Error when they are not in time */
export async function waitForProblems(adminUrl: string, codes: readonly string[], timeoutMs = 10_000): Promise<void> {
  const wanted = [...codes].sort().join()
  await eventually(
    async () => {
      const standing = [...(await problemCodes(adminUrl))].sort().join()
      if (standing !== wanted) throw new Error(`the problems are ${standing || 'none'}, and not ${wanted || 'none'}`)
    },
    { timeoutMs },
  )
}

export async function nodes(adminUrl: string): Promise<readonly NodeStatus[]> {
  return ((await getJson(`${adminUrl}/api/nodes`)) as { nodes: NodeStatus[] }).nodes
}

/** Clusters and listeners: a first request for all of them is answered in any case (rules 34, 59). */
const alwaysAnswered: readonly string[] = ['cluster', 'listener']

/** Resolves to the one client's stream, once it has asked for these types and accepted all that it was sent. */
export async function settledNode(adminUrl: string, types: readonly string[]): Promise<NodeStatus> {
  return await eventually(
    async () => {
      const [node, ...others] = await nodes(adminUrl)
      if (node === undefined || others.length > 0) throw new Error(`${others.length + (node ? 1 : 0)} streams`)
      const missing = types.filter((type) => {
        const status = node.types[type]
        if (status === undefined || status.sent !== status.acked) return true
        return status.sent === undefined && alwaysAnswered.includes(type)
      })
      if (missing.length > 0) throw new Error(`not yet asked for or accepted: ${missing.join()}`)
      return node
    },
    { timeoutMs: 15_000 },
  )
}

async function getJson(url: string): Promise<unknown> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${await response.text()}`)
  return await response.json()
}

/** What REST xDS answers; `body` is absent with 304. */
export interface RestAnswer {
  readonly status: number
  readonly body?: {
    readonly version_info: string
    readonly resources: readonly Readonly<Record<string, unknown>>[]
  }
}

/** `POST /v3/discovery:clusters`, as the node of that `node.cluster`. */
export async function fetchRest(
  adminUrl: string,
  what: string,
  cluster: string,
  request: Readonly<Record<string, unknown>> = {},
): Promise<RestAnswer> {
  const response = await fetch(`${adminUrl}/v3/discovery:${what}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ node: { id: `${cluster}-1`, cluster }, ...request }),
  })
  const text = await response.text()
  return { status: response.status, ...(text !== '' && { body: JSON.parse(text) as Required<RestAnswer>['body'] }) }
}
