import type { App, AppAnswer, AppRequest, MeshBed } from '../bed.ts'
import type { RunningProxy } from '../suite.ts'
import { gateway, route, service } from './shop-documents.ts'

export interface ShopOptions<Name extends string> {
  /** Each is an app, and an endpoint and a version of the Service `cart`. */
  readonly apps: readonly Name[]
  /** What they answer, where it is not 200. */
  readonly answer?: (app: Name, request: AppRequest) => AppAnswer
  /** Rules of the Route; all requests go to `cart` where nothing is said. */
  readonly rules?: string
  /** More of the Service. */
  readonly policy?: string
  readonly edge?: string
}

/** Where most cases begin: the Service `cart`, a Gateway and a Route, in `cart`, `edge` and `shop`, and a proxy that serves. */
export async function openShop<Name extends string>(
  bed: MeshBed,
  { apps: names, answer, rules = toCart, policy, edge = gateway }: ShopOptions<Name>,
): Promise<{
  readonly proxy: RunningProxy
  readonly port: number
  readonly apps: Readonly<Record<Name, App>>
}> {
  const start = async (name: Name): Promise<readonly [Name, App]> => [
    name,
    await bed.app(name, answer && ((request) => answer(name, request))),
  ]
  const apps = Object.fromEntries(await Promise.all(names.map(start))) as Record<Name, App>
  const documents = { cart: service('cart', names, policy), edge, shop: route('shop', rules) }
  return { ...(await openEdge(bed, documents)), apps }
}

type Documents = Readonly<Record<string, string>>

interface Opened {
  readonly proxy: RunningProxy
  /** Of the listener. */
  readonly port: number
}

/** A proxy that serves these documents by the Gateway of most cases. */
export async function openEdge(bed: MeshBed, documents: Documents): Promise<Opened> {
  return await openProxy(bed, { edge: gateway, ...documents }, 'edge', 'edge/http')
}

/** A proxy of that name that serves these documents. */
export async function openProxy(bed: MeshBed, documents: Documents, name: string, listener: string): Promise<Opened> {
  await bed.write(documents)
  const proxy = await bed.proxy(name)
  return { proxy, port: await proxy.port(listener) }
}

const toCart = '- {backends: cart}'
