import { request } from 'node:http'
import { type BootstrapOptions, buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { startControlPlane, type TestControlPlane } from './control-plane.ts'
import { createFileStore, type DocumentStore } from './document-store.ts'
import type { Changes } from './documents.ts'
import { type EnvoyProcess, startEnvoy } from './envoy.ts'
import { type Load, startLoad } from './load.ts'
import { type Answer, outcomeOf } from './outcome.ts'
import type { StartProxy } from './planes.ts'
import type { Protocol } from './wire-client.ts'

/** A control plane on files, and one stock Envoy that went LIVE with nothing but the printed bootstrap. */
export interface Edge {
  readonly store: DocumentStore
  readonly controlPlane: TestControlPlane
  readonly envoy: EnvoyProcess
}

export interface EdgeOptions {
  /** Delta by default. */
  readonly protocol?: Protocol
  readonly documents: Changes
  /** Options of `serve`. */
  readonly flags?: Readonly<Record<string, unknown>>
  /** Laid over the bootstrap, field by field of its top. */
  readonly bootstrap?: object
  /** How long Envoy may take to be LIVE; 10 s by default. */
  readonly liveMs?: number
  /** A stock Envoy by default. */
  readonly start?: StartProxy
}

export async function startEdge({
  protocol = 'delta',
  documents,
  flags,
  bootstrap,
  liveMs,
  start,
}: EdgeOptions): Promise<Edge> {
  const store = createFileStore()
  await store.write(documents)
  const controlPlane = await startControlPlane({ ...store.flags, ...flags })
  const envoy = await startEdgeEnvoy(controlPlane, {
    protocol,
    ...(bootstrap && { bootstrap }),
    ...(start && { start }),
  })
  await envoy.waitLive(liveMs)
  return { store, controlPlane, envoy }
}

/** Where an Envoy asks: `server` of whatever runs one. */
type Asked = Pick<BootstrapOptions, 'server' | 'tlsCa'>

/** An Envoy `edge-1` of the cluster `edge` that asks this server. */
export async function startEdgeEnvoy(
  { server, tlsCa }: Asked,
  {
    protocol = 'delta',
    bootstrap,
    args = [],
    start = (options) => startEnvoy({ ...options, args }),
  }: Pick<EdgeOptions, 'protocol' | 'bootstrap' | 'start'> & {
    readonly args?: readonly string[]
  } = {},
): Promise<EnvoyProcess> {
  const delta = protocol === 'delta'
  const printed = buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta, ...(tlsCa && { tlsCa }) })
  return await start({ bootstrap: { ...printed, ...bootstrap } })
}

/** That Envoy, LIVE, with 100 requests a second on its listener `http`, which this backend answers. */
export async function startEdgeUnderLoad(
  asked: Asked,
  from: string,
  protocol: Protocol = 'delta',
): Promise<{ readonly envoy: EnvoyProcess; readonly load: Load }> {
  const envoy = await startEdgeEnvoy(asked, { protocol })
  await envoy.waitLive()
  const load = startLoad({ port: await envoy.listenerPort('http'), rate: 100 })
  await load.next(20, { from })
  return { envoy, load }
}

/** One request on a connection of its own. `host` is the Host header. @throws Error when no answer comes in time */
export async function get(
  port: number,
  { host, headers, timeoutMs = 5_000 }: { host?: string; headers?: Record<string, string>; timeoutMs?: number } = {},
): Promise<Answer> {
  const own = { ...headers, ...(host !== undefined && { host }) }
  const outcome = await outcomeOf(request({ host: '127.0.0.1', port, agent: false, headers: own }), timeoutMs)
  if ('reason' in outcome) throw new Error(outcome.reason)
  return outcome
}

/** The backend that answered 200. @throws Error for any other answer */
export async function backendOf(...request: Parameters<typeof get>): Promise<string> {
  const { status, body } = await get(...request)
  if (status !== 200) throw new Error(`${status} ${body}`)
  return (JSON.parse(body) as { backend: string }).backend
}
