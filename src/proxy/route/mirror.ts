import { isChosen } from '../config/fraction.ts'
import type { FilterOwner } from '../http/http-filter.ts'
import type { RoutedStream } from '../http/routed-stream.ts'
import type { TakenRoute } from '../http/taken-route.ts'
import type { Mirror } from './forward-action.ts'
import type { RequestBody } from './request-body.ts'

/** The most specific level that says anything of mirrors says it for all. */
export function mirrorsOf({ found }: TakenRoute): readonly Mirror[] {
  return found.route?.level.mirrors ?? found.virtualHost.level.mirrors ?? found.table.level.mirrors ?? []
}

/** Sends a copy of the request there, if chance will have it; what comes of it concerns nobody. */
export function openMirror(
  mirror: Mirror,
  stream: RoutedStream,
  owner: FilterOwner,
  body: RequestBody | undefined,
): void {
  const { runtime, random } = owner.context
  if (mirror.share !== undefined && !isChosen(mirror.share, runtime, random())) return
  const name = mirror.cluster === '' ? stream.request.get(mirror.header) : mirror.cluster
  const cluster = name === undefined ? undefined : owner.clusters.get(name)
  if (cluster === undefined) return
  const headers = stream.request.copy()
  if (mirror.marksHost) headers.set(':authority', marked(headers.get(':authority') ?? ''))
  const send = async (): Promise<void> => {
    const host = await cluster.chooseHost({ headers })
    if (host === undefined) return
    const { protocol } = stream.exchange
    const copy = await owner.connections.openStream(cluster, host, {
      headers,
      isEnd: body === undefined,
      priority: 'default',
      downstreamProtocol: protocol === 'HTTP/2' ? 'HTTP/2' : 'HTTP/1.1',
    })
    copy.body.on('error', ignore)
    body?.mirrorTo(copy)
    const response = await copy.response
    const status = Number(response.headers.get(':status'))
    host.report({ status })
    response.body.on('error', ignore)
    response.body.resume()
  }
  send().catch(ignore)
}

const ignore = (): void => undefined

/** `cart:80` → `cart-shadow:80` */
function marked(authority: string): string {
  const [, host = authority, port = ''] = /^(.*?)(:\d+)?$/.exec(authority) ?? []
  return `${host}-shadow${port}`
}
