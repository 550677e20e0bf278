import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { DownstreamConnection, SocketAddress } from '../../network/network-filter.ts'
import type { Headers } from '../headers.ts'
import type { EdgeRules } from '../manager-config.ts'
import { isInternalAddress } from './internal-address.ts'

export interface ClientPlace {
  /** Who the client is, as far as proxies in front are to be believed. */
  readonly address: SocketAddress
  readonly isInternal: boolean
  /** It comes from outside, and this proxy is the first that is trusted. */
  readonly isEdge: boolean
}

/**
 * Who the client is, by `x-forwarded-for` where that is heeded, and what the upstream is told of it: `x-forwarded-for`,
 * `x-forwarded-proto`, `x-envoy-external-address`.
 */
export function placeClient(request: Headers, connection: DownstreamConnection, rules: EdgeRules): ClientPlace {
  const forwarded = request.get('x-forwarded-for')
  const { remoteAddress } = connection
  const scheme = connection.tls === undefined ? 'http' : 'https'
  const { usesRemoteAddress, trustedHops } = rules
  let believed: string | undefined
  if (usesRemoteAddress) {
    if (trustedHops > 0) believed = addressFromRight(forwarded, trustedHops - 1)
    if (!rules.skipsXffAppend)
      appendXff(request, forwarded, isLoopback(remoteAddress.ip) ? ownAddress() : remoteAddress.ip)
    // Nobody in front who would be trusted can have said it.
    if (trustedHops === 0 || !request.has('x-forwarded-proto')) request.set('x-forwarded-proto', scheme)
    if (rules.appendsForwardedPort && (trustedHops === 0 || !request.has('x-forwarded-port')))
      request.set('x-forwarded-port', String(connection.localAddress.port))
    believed ??= remoteAddress.ip
  } else {
    believed = addressFromRight(forwarded, trustedHops)
    if (!request.has('x-forwarded-proto')) request.set('x-forwarded-proto', scheme)
  }
  const isAlone = usesRemoteAddress ? forwarded === undefined : forwarded !== undefined && !forwarded.includes(',')
  const isInternal = isAlone && believed !== undefined && isInternalAddress(believed, rules.internalAddresses)
  const isEdge = usesRemoteAddress && !isInternal
  const address = believed === undefined || believed === remoteAddress.ip ? remoteAddress : { ip: believed, port: 0 }
  if (isEdge) request.set('x-envoy-external-address', address.ip)
  return { address, isInternal, isEdge }
}

/** Proxies append on the right: the last is 0. Undefined where there are not so many, or it is no address. */
function addressFromRight(forwarded: string | undefined, place: number): string | undefined {
  if (forwarded === undefined) return undefined
  const address = forwarded
    .split(',')
    .at(-1 - place)
    ?.trim()
  return address !== undefined && isIP(address) !== 0 ? address : undefined
}

function appendXff(request: Headers, forwarded: string | undefined, ip: string): void {
  request.set('x-forwarded-for', forwarded === undefined || forwarded === '' ? ip : `${forwarded},${ip}`)
}

const isLoopback = (ip: string): boolean => ip.startsWith('127.') || ip === '::1'

let own: string | undefined

/** A client on the same machine is told of by the machine's address: its own would say nothing elsewhere. */
function ownAddress(): string {
  own ??=
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
  return own
}
