import type { X509Certificate } from 'node:crypto'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { getSystemErrorName } from 'node:util'
import type { Clock } from '../../clock.ts'
import { hostPort } from '../../resource/host-port.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { StatScope } from '../stats/stat-store.ts'
import { tlsFailureText, tlsSystemErrorText, verifyFailureText } from '../tls/tls-error.ts'
import type { NameMatcher } from '../tls/validation-context.ts'
import { type PeerFault, verifyPeer } from '../tls/verify-peer.ts'
import { buildProxyProtocolHeader } from './proxy-protocol-header.ts'
import type { UpstreamTransportConfig } from './transport-socket-config.ts'
import { type ClientAddresses, UpstreamFailure } from './upstream.ts'
import type { ClientTls, UpstreamTls } from './upstream-tls.ts'
import type { UpstreamTlsConfig } from './upstream-tls-config.ts'

export interface TransportOptions {
  readonly clock: Clock
  readonly cluster: Cluster
  readonly transport: UpstreamTransportConfig
  readonly tls: UpstreamTls
  readonly ip: string
  readonly port: number
  /** Whom TLS asks for where the transport socket does not say it, and whose name is checked then. */
  readonly serverName: string | undefined
  readonly isServerNameChecked: boolean
  /** What is offered where the transport socket does not say it. */
  readonly alpn: readonly string[]
  readonly client: ClientAddresses | undefined
  /** Raw connections: each side closes its own half. */
  readonly isHalfOpenAllowed: boolean
  /** Undefined where nothing is counted. */
  readonly sslStats: StatScope | undefined
}

/** A connection to a host that is ready for its first byte. */
export interface Transport {
  readonly socket: Socket
  readonly localAddress: string
  /** What ALPN agreed on. */
  readonly alpn: string | undefined
}

/** One that is being made. */
export interface OpeningTransport {
  /** Rejects with an `UpstreamFailure`. */
  readonly done: Promise<Transport>
  abort(): void
}

/** TCP, a PROXY protocol header and TLS, one after the other, within the connect timeout of the cluster. */
export function openTransport(options: TransportOptions): OpeningTransport {
  const { clock, cluster, ip, port, isHalfOpenAllowed } = options
  const { connectTimeoutMs, tcpKeepalive } = cluster.config
  const tcp = connectTcp({
    host: ip,
    port,
    noDelay: true,
    allowHalfOpen: isHalfOpenAllowed,
    ...(tcpKeepalive !== undefined && { keepAlive: true, keepAliveInitialDelay: tcpKeepalive.idleMs ?? 0 }),
  })
  let socket: Socket = tcp
  let fail: (failure: UpstreamFailure) => void = () => undefined
  const done = new Promise<Transport>((accept, refuse) => {
    const timer = clock.after(connectTimeoutMs, () => {
      fail(new UpstreamFailure('UF', 'connection timeout'))
    })
    fail = (failure) => {
      timer.cancel()
      socket.destroy()
      tcp.destroy()
      refuse(failure)
    }
    const succeed = (alpn: string | undefined): void => {
      timer.cancel()
      // Whoever has it next listens to what concerns him.
      socket.on('error', () => undefined)
      socket.removeListener('error', onError)
      socket.removeListener('close', onClose)
      accept({ socket, localAddress: localAddressOf(tcp), alpn })
    }
    const onError = (error: NodeJS.ErrnoException): void => fail(connectFailure(error))
    const onClose = (): void => fail(new UpstreamFailure('UF', 'remote connection failure'))
    tcp.on('error', onError)
    tcp.on('close', onClose)
    tcp.once('connect', () => {
      let transport = options.transport
      while (transport.kind === 'proxy_protocol') {
        tcp.write(buildProxyProtocolHeader(transport.version, options.client))
        transport = transport.inner
      }
      if (transport.kind === 'raw') {
        succeed(undefined)
        return
      }
      const started = startTls(tcp, transport.tls, options)
      if (started === undefined) {
        fail(new UpstreamFailure('UF', 'remote connection failure', 'TLS error: Secret is not supplied by SDS'))
        return
      }
      const secure = started.socket
      socket = secure
      tcp.removeListener('error', onError)
      tcp.removeListener('close', onClose)
      tcp.on('error', () => undefined)
      secure.on('error', (error: NodeJS.ErrnoException) => {
        options.sslStats?.counter('connection_error').add()
        fail(new UpstreamFailure('UF', 'remote connection failure', handshakeFailureText(error)))
      })
      secure.on('close', onClose)
      secure.once('secureConnect', () => {
        const certificate = secure.getPeerX509Certificate()
        const fault = started.check(certificate)
        if (fault === undefined) {
          options.sslStats?.counter('handshake').add()
          secure.removeAllListeners('error')
          secure.on('error', () => undefined)
          succeed(secure.alpnProtocol === false ? undefined : (secure.alpnProtocol ?? undefined))
          return
        }
        options.sslStats?.counter(fault).add()
        fail(
          new UpstreamFailure(
            'UF',
            'remote connection failure',
            verifyFailureText(fault, { socket: secure, certificate }),
          ),
        )
      })
    })
  })
  // Whoever aborts asks no more how it went.
  done.catch(() => undefined)
  return { done, abort: () => fail(new UpstreamFailure('UF', 'local connection failure')) }
}

/** Undefined, too, where what the configuration holds is of no use: its cluster should have been refused. */
function currentOf(tls: UpstreamTls, config: UpstreamTlsConfig): ClientTls | undefined {
  try {
    return tls.current(config)
  } catch (error) {
    if (error instanceof ConfigRejection) return undefined
    throw error
  }
}

interface StartedTls {
  readonly socket: TLSSocket
  check(certificate: X509Certificate | undefined): PeerFault | undefined
}

function startTls(tcp: Socket, config: UpstreamTlsConfig, options: TransportOptions): StartedTls | undefined {
  const current = currentOf(options.tls, config)
  if (current === undefined) return undefined
  const serverName = config.sni === '' ? options.serverName : (options.serverName ?? config.sni)
  const alpn = config.tls.alpn.length > 0 ? config.tls.alpn : options.alpn
  const socket = connectTls({
    socket: tcp,
    secureContext: current.context,
    // An address is nothing that TLS could ask for.
    ...(serverName !== undefined && isIP(serverName) === 0 && { servername: serverName }),
    ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  })
  const names = options.isServerNameChecked && serverName !== undefined ? [matcherOf(serverName)] : []
  return {
    socket,
    check: (certificate) =>
      current.validation === undefined ? undefined : verifyPeer(socket, certificate, current.validation, names),
  }
}

/** The name that `auto_san_validation` asks a certificate for. */
function matcherOf(serverName: string): NameMatcher {
  return {
    type: isIP(serverName) === 0 ? 'DNS' : 'IP_ADDRESS',
    exact: serverName,
    matches: (value) => value === serverName,
  }
}

function connectFailure(error: NodeJS.ErrnoException): UpstreamFailure {
  return new UpstreamFailure('UF', 'remote connection failure', `delayed connect error: ${errnoText(error)}`)
}

/** As `strerror` says it. */
const errnoTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ETIMEDOUT: 'Connection timed out',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EPIPE: 'Broken pipe',
}

function errnoText({ code, errno, message }: NodeJS.ErrnoException): string {
  const name = code ?? (errno === undefined ? '' : getSystemErrorName(errno))
  return errnoTexts[name] ?? message
}

/** What went wrong while TLS was agreed on. */
function handshakeFailureText(error: NodeJS.ErrnoException): string {
  const { code, errno } = error
  if (code?.startsWith('ERR_') === true) return tlsFailureText(error)
  // Without a number the host has just closed it.
  return errno === undefined ? '' : tlsSystemErrorText(-errno, errnoText(error))
}

function localAddressOf({ localAddress = '', localPort = 0 }: Socket): string {
  return hostPort(localAddress, localPort)
}
