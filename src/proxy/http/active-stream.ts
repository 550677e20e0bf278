import { EventEmitter } from 'node:events'
import type { Duplex, Readable } from 'node:stream'
import type { Timer } from '../../clock.ts'
import type { Clusters } from '../cluster/cluster.ts'
import type { DownstreamConnection } from '../network/network-filter.ts'
import type { ProxyContext } from '../proxy-context.ts'
import { hashOf, hashSubjectOf } from '../route/hash-policy.ts'
import { applyHeaderMutations } from '../route/header-mutation.ts'
import { UpstreamFailure } from '../upstream/upstream.ts'
import type { Malformed } from './codec.ts'
import { createStreamInfo } from './create-stream-info.ts'
import { dateText } from './date-text.ts'
import { normalizePath } from './edge/path-normalization.ts'
import { appendedTo, sanitizeRequest } from './edge/sanitize-request.ts'
import { stripHost } from './edge/strip-host.ts'
import type { Exchange } from './exchange.ts'
import { Headers } from './headers.ts'
import type { HttpFilter, HttpResponse, LocalReply } from './http-filter.ts'
import { filtersFor } from './http-filters.ts'
import { localResponse } from './local-response.ts'
import type { ManagerParts, StreamOwner } from './manager-parts.ts'
import type { ManagerStats } from './manager-stats.ts'
import { type PumpListener, startPump } from './pump.ts'
import { reasonPhrase } from './reason-phrase.ts'
import type { ResponseSource, RoutedStream } from './routed-stream.ts'
import type { StreamInfo } from './stream-info.ts'
import { TakenRoute } from './taken-route.ts'

/** One request of a client and its response, from the codec through the filters and back. */
export class ActiveStream implements RoutedStream, PumpListener {
  readonly context: ProxyContext
  readonly clusters: Clusters
  readonly connection: DownstreamConnection
  readonly info: StreamInfo
  readonly request: Headers
  readonly exchange: Exchange
  readonly stats: ManagerStats
  readonly random: number
  body: Readable | undefined
  upgrade: string | undefined
  /** For access logs. */
  response: Headers | undefined
  trailers: Headers | undefined
  isAnswered = false
  isOver = false
  readonly #manager: ManagerParts
  readonly #client: StreamOwner
  #filters: readonly HttpFilter[] = []
  #route: TakenRoute | undefined
  #isRouteKnown = false
  #isInternal = false
  #isAnsweredHere = false
  #closeActs: (() => void)[] | undefined
  #cookies: string[] | undefined
  #source: ResponseSource | undefined
  #idleMs: number | undefined
  #lastNewsMs: number
  #idleTimer: Timer | undefined
  #durationTimer: Timer | undefined
  #requestTimer: Timer | undefined

  constructor(manager: ManagerParts, client: StreamOwner, exchange: Exchange) {
    this.#manager = manager
    this.#client = client
    this.exchange = exchange
    const { context, clusters } = manager.owner
    this.context = context
    this.clusters = clusters
    this.connection = client.connection
    this.stats = manager.stats
    this.random = context.random()
    this.info = createStreamInfo(context.clock, exchange.protocol)
    this.#lastNewsMs = this.info.startMs
    this.request = exchange.request
    this.body = exchange.body
    const { body } = exchange
    if (body === undefined) this.info.requestEndMs = this.info.startMs
    else this.#watchBody(body)
    exchange.onClosed((how) => this.#close(how))
  }

  get nowMs(): number {
    return this.context.clock.now()
  }

  start(): void {
    const { requests } = this.stats
    requests.total.add()
    requests.active.add(1)
    ;(this.exchange.protocol === 'HTTP/2' ? requests.http2Total : requests.http1Total).add()
    this.#startTimers()
    const { isDraining } = this.#client
    if (isDraining) this.exchange.closeAfterResponse()
    if (!this.#isAcceptable()) return
    const { edge } = this.#manager.config
    if (edge.earlyMutations.length > 0) applyHeaderMutations(this.request, edge.earlyMutations, this)
    const wanted = this.exchange.upgrade === 'h2c' ? undefined : this.exchange.upgrade
    const place = sanitizeRequest(this.request, this.connection, edge, this.context, wanted)
    this.#isInternal = place.isInternal
    this.info.clientAddress = place.address
    if (edge.scheme !== undefined) this.request.set(':scheme', edge.scheme)
    else if (!this.request.has(':scheme')) {
      this.request.set(':scheme', this.request.get('x-forwarded-proto') === 'https' ? 'https' : 'http')
    }
    this.#answerExpectation()
    const route = this.route()
    const isConnect = this.request.get(':method') === 'CONNECT'
    this.upgrade = isConnect ? 'connect' : wanted
    let filters = this.#manager.filters
    if (this.upgrade !== undefined && route !== undefined) {
      const granted = this.#manager.upgradeFilters(this.upgrade, route.action)
      if (granted === undefined) {
        requests.upgradeRefused.add()
        // What follows could be meant for whoever would have been upgraded.
        this.exchange.closeAfterResponse()
        this.reply({ status: 403, details: 'upgrade_failed' })
        return
      }
      filters = granted
    }
    this.#filters = filtersFor(filters, route)
    this.#runFilters(0)
  }

  /** Whether the request may go on; if not it was answered. */
  #isAcceptable(): boolean {
    const { request, exchange, stats } = this
    const { config } = this.#manager
    const isHttp2 = exchange.protocol === 'HTTP/2'
    const codec = isHttp2 ? 'http2' : 'http1'
    const { refusal } = exchange
    if (refusal !== undefined) return this.#refuseProtocol(refusal.status, refusal.details)
    if (exchange.protocol === 'HTTP/1.0' && !config.http1.acceptsHttp10) {
      return this.#refuseProtocol(426, 'low_version')
    }
    // In HTTP/1 method and path are no headers.
    if (request.flat.length / 2 - (isHttp2 ? 0 : 2) > config.maxHeadersCount) {
      return this.#refuseProtocol(431, `${codec}.too_many_headers`)
    }
    if (isHttp2 && request.byteSize > config.maxHeadersBytes) {
      return this.#refuseProtocol(431, 'http2.headers_too_large')
    }
    if (config.edge.underscores !== 'ALLOW' && !this.#passesUnderscores(codec)) return false
    if (!request.has(':authority') && exchange.protocol === 'HTTP/1.0' && config.http1.defaultHostForHttp10 !== '')
      request.set(':authority', config.http1.defaultHostForHttp10)
    const authority = request.get(':authority')
    if (authority === undefined) return this.#refuse(400, 'missing_host_header')
    if (!validAuthority.test(authority)) return this.#refuseProtocol(400, 'http.invalid_authority')
    if (request.get(':method') === 'QUERY' && !request.has('content-type'))
      return this.#refuse(400, 'query_missing_content_type')
    const path = request.get(':path')
    if (path === undefined) {
      if (request.get(':method') === 'CONNECT') return true
      return this.#refuse(404, 'missing_path_rejected')
    }
    if (path.charCodeAt(0) !== slash) {
      stats.requests.nonRelativePath.add()
      return this.#refuse(404, 'absolute_path_rejected')
    }
    const verdict = normalizePath(request, config.edge)
    if (verdict === 'reject') {
      stats.requests.failedPath.add()
      return this.#refuse(400, 'path_normalization_failed')
    }
    if (verdict === 'redirect') {
      stats.requests.redirectedPath.add()
      this.reply({
        status: 307,
        headers: Headers.of({ location: request.get(':path') as string }),
        details: 'path_normalization_failed',
      })
      return false
    }
    if (config.edge.stripsPort !== 'none' || config.edge.stripsTrailingDot)
      request.set(':authority', stripHost(authority, config.edge, this.connection.localAddress.port))
    return true
  }

  #refuse(status: number, details: string): false {
    if (status === 400) this.#closeHttp1()
    this.reply({ status, details })
    return false
  }

  /** What Envoy's codec would refuse: in HTTP/2 the stream is reset. */
  #refuseProtocol(status: number, details: string): false {
    this.stats.connections.protocolError.add()
    if (this.exchange.protocol === 'HTTP/2') {
      this.info.responseCodeDetails = details
      this.info.flags.add('DR')
      this.exchange.reset()
      return false
    }
    this.exchange.closeAfterResponse()
    this.reply({ status, body: reasonPhrase(status), flag: 'DPE', details })
    return false
  }

  /** In HTTP/2 the other streams of the connection have nothing to do with it. */
  #closeHttp1(): void {
    if (this.exchange.protocol !== 'HTTP/2') this.exchange.closeAfterResponse()
  }

  #passesUnderscores(codec: string): boolean {
    const hasUnderscore = (name: string): boolean => name.includes('_')
    const { request, stats } = this
    const { flat } = request
    let count = 0
    for (let at = 0; at < flat.length; at += 2) if (hasUnderscore(flat[at] as string)) count += 1
    if (count === 0) return true
    if (this.#manager.config.edge.underscores === 'DROP_HEADER') {
      stats.requests.underscoreHeadersDropped.add(count)
      request.removeWhere(hasUnderscore)
      return true
    }
    stats.requests.underscores.add()
    return this.#refuseProtocol(400, `${codec}.unexpected_underscore`)
  }

  /** A client that waits for leave to send its body gets it at once, unless the upstream is to give it. */
  #answerExpectation(): void {
    const { request } = this
    const isExpected = request.get('expect')?.toLowerCase() === '100-continue'
    if (!isExpected || this.#manager.config.edge.proxiesContinue) return
    request.remove('expect')
    this.#passInterim(Headers.of({ ':status': '100' }))
  }

  #runFilters(start: number): void {
    for (let at = start; at < this.#filters.length; at += 1) {
      const going = (this.#filters[at] as HttpFilter).onRequest?.(this) ?? true
      if (going === false) return
      if (going === true) continue
      going.then(
        (goesOn) => {
          if (goesOn && !this.isOver && !this.isAnswered) this.#runFilters(at + 1)
        },
        (error: unknown) => this.#onFilterError(error),
      )
      return
    }
  }

  #onFilterError(error: unknown): void {
    this.context.log.error({ err: error }, 'an HTTP filter failed')
    if (!this.isAnswered) this.reply({ status: 500, details: 'filter_failed' })
  }

  requestTrailers(): Headers | undefined {
    return this.exchange.trailers()
  }

  route(): TakenRoute | undefined {
    if (!this.#isRouteKnown) {
      this.#isRouteKnown = true
      this.#route = this.#findRoute()
      this.info.routeName = this.#route?.name
      this.info.virtualHost = this.#route?.virtualHost
      const cluster = this.#route?.cluster
      this.info.upstreamCluster = cluster === undefined ? undefined : this.clusters.get(cluster)?.name
    }
    return this.#route
  }

  #findRoute(): TakenRoute | undefined {
    const { tls } = this.connection
    const found = this.#manager.table?.find({
      headers: this.request,
      runtime: this.context.runtime,
      random: this.random,
      ...(tls !== undefined && { tls: { isPresented: tls.peer !== undefined, isValidated: tls.peer !== undefined } }),
    })
    if (found === undefined) return undefined
    const { requiresTls } = found.virtualHost
    const isTlsDue = requiresTls === 'ALL' || (requiresTls === 'EXTERNAL_ONLY' && !this.#isInternal)
    if (isTlsDue && this.request.get('x-forwarded-proto') !== 'https')
      return new TakenRoute(toHttps(found), this.request, 0, none)
    if (found.route === undefined) return undefined
    return new TakenRoute(found, this.request, this.random, () => this.#hash(found.route?.action))
  }

  #hash(action: TakenRoute['action']): bigint | undefined {
    return action?.kind === 'forward' ? hashOf(action.hashPolicies, hashSubjectOf(this, none)) : undefined
  }

  reply(reply: LocalReply): void {
    if (this.isOver) return
    if (reply.flag !== undefined) this.info.flags.add(reply.flag)
    if (this.isAnswered) {
      this.exchange.reset()
      return
    }
    this.info.responseCodeDetails = reply.details
    this.#isAnsweredHere = true
    const { headers, text } = localResponse(this.request, reply)
    this.#route?.changeResponse(headers, this)
    this.#sendHead({ headers, body: undefined }, text)
  }

  respond(response: HttpResponse, source: ResponseSource): void {
    this.#source = source
    this.#sendHead(response, undefined)
  }

  /** `text` is the body of a local reply. */
  #sendHead(response: HttpResponse, text: string | undefined): void {
    for (let at = this.#filters.length - 1; at >= 0; at -= 1) this.#filters[at]?.onResponse?.(this, response)
    const { headers } = response
    this.isAnswered = true
    this.#finishHeaders(headers)
    this.response = headers
    const { exchange, info } = this
    info.responseCode = Number(headers.get(':status'))
    if (this.#client.isDraining) {
      exchange.closeAfterResponse()
      this.#client.countDrainClose()
    }
    const { body } = response
    const isEnd = body === undefined && text === undefined
    if (!exchange.isRequestComplete) {
      this.stats.requests.beforeComplete.add()
      // Nobody waits for the rest of it.
      this.#closeHttp1()
    }
    exchange.sendHeaders(headers, isEnd)
    if (isEnd) {
      info.lastByteSentMs = this.nowMs
      this.#source?.onDone()
    } else if (body === undefined) {
      info.bytesSent = Buffer.byteLength(text as string)
      info.lastByteSentMs = this.nowMs
      exchange.responseBody.end(text)
    } else {
      if (body.readableLength === 0) exchange.flushHeaders()
      startPump(body, exchange.responseBody, this)
    }
  }

  #finishHeaders(headers: Headers): void {
    const { server, edge } = this.#manager.config
    if (!headers.has('date')) headers.append('date', dateText())
    if (server.handling === 'OVERWRITE') headers.set('server', server.name)
    else if (server.handling === 'APPEND_IF_ABSENT' && !headers.has('server')) headers.append('server', server.name)
    if (this.upgrade === undefined) headers.remove('upgrade')
    if (edge.via !== '') headers.set('via', appendedTo(headers.get('via'), edge.via))
    if (edge.answersRequestId || this.request.has('x-envoy-force-trace')) {
      const id = this.request.get('x-request-id')
      if (id !== undefined) headers.set('x-request-id', id)
    }
    if (this.#cookies !== undefined) for (const line of this.#cookies) headers.append('set-cookie', line)
  }

  onChunk(chunk: Buffer): void {
    this.info.bytesSent += chunk.length
    this.#lastNewsMs = this.nowMs
  }

  onEnd(): void {
    this.info.lastByteSentMs = this.nowMs
    const trailers = this.#source?.trailers()
    if (trailers === undefined) this.exchange.responseBody.end()
    else {
      this.trailers = trailers
      this.exchange.endWith(trailers)
    }
    this.#source?.onDone()
  }

  onError(error: Error): void {
    // The client has gone, and the upstream was let go of for that.
    if (this.isOver) return
    if (error instanceof UpstreamFailure) {
      this.info.flags.add(error.flag)
      this.info.responseCodeDetails = `upstream_reset_after_response_started{${error.reason.replaceAll(' ', '_')}}`
    }
    this.stats.routes.resetAfterStart.add()
    this.#source?.onDone(error)
    this.stats.requests.txReset.add()
    this.exchange.reset()
  }

  /** Of an upstream: who gives leave to send a body itself keeps back all that comes before responses. */
  sendInterim(headers: Headers): void {
    if (this.#manager.config.edge.proxiesContinue) this.#passInterim(headers)
  }

  #passInterim(headers: Headers): void {
    if (this.isAnswered || this.isOver) return
    this.stats.requests.byClass[1]?.add()
    this.exchange.sendInterim(headers)
  }

  takeOver(headers: Headers): Duplex {
    const { upgradesTotal, upgradesActive } = this.stats.connections
    upgradesTotal.add()
    upgradesActive.add(1)
    this.onClosed(() => upgradesActive.add(-1))
    for (let at = this.#filters.length - 1; at >= 0; at -= 1)
      this.#filters[at]?.onResponse?.(this, { headers, body: undefined })
    this.#finishHeaders(headers)
    this.isAnswered = true
    this.response = headers
    this.info.responseCode = Number(headers.get(':status'))
    this.#durationTimer?.cancel()
    return this.exchange.takeOver(headers)
  }

  setCookie(line: string): void {
    this.#cookies ??= []
    this.#cookies.push(line)
  }

  onClosed(act: () => void): void {
    if (this.isOver) act()
    else {
      this.#closeActs ??= []
      this.#closeActs.push(act)
    }
  }

  touch(): void {
    this.#lastNewsMs = this.nowMs
  }

  #watchBody(body: Readable): void {
    const { info } = this
    // Who counts must not be the one who makes the body flow, which a Readable's own `on` would.
    EventEmitter.prototype.on.call(body, 'data', (chunk: Buffer) => {
      // Behind an answer of this proxy's own nobody takes it.
      if (this.#isAnsweredHere) return
      info.bytesReceived += chunk.length
      this.#lastNewsMs = this.nowMs
    })
    body.once('end', () => {
      info.requestEndMs = this.nowMs
      this.#requestTimer?.cancel()
      this.#lastNewsMs = info.requestEndMs
    })
  }

  #startTimers(): void {
    const { timeouts } = this.#manager.config
    this.setIdleTimeout(timeouts.streamIdleMs)
    this.setMaxDuration(timeouts.maxStreamMs)
    if (timeouts.requestMs !== undefined && this.body !== undefined) {
      this.#requestTimer = this.context.clock.after(timeouts.requestMs, () => {
        if (this.isOver) return
        this.stats.requests.timeout.add()
        this.#closeHttp1()
        this.reply({ status: 408, body: 'request timeout', details: 'request_overall_timeout' })
      })
    }
  }

  setIdleTimeout(ms: number | undefined): void {
    this.#idleTimer?.cancel()
    this.#idleTimer = undefined
    this.#idleMs = ms
    if (ms !== undefined) this.#armIdle(ms)
  }

  #armIdle(ms: number): void {
    this.#idleTimer = this.context.clock.after(ms, () => {
      if (this.isOver || this.#idleMs === undefined) return
      // News does not turn the timer back, which would cost more than to look once more.
      const left = this.#lastNewsMs + this.#idleMs - this.nowMs
      if (left > 0.5) this.#armIdle(left)
      else this.#onIdle()
    })
  }

  #onIdle(): void {
    this.stats.requests.idleTimeout.add()
    this.info.flags.add('SI')
    if (this.isAnswered) {
      this.info.responseCodeDetails = 'stream_idle_timeout'
      this.stats.requests.txReset.add()
      this.exchange.reset()
      return
    }
    const isComplete = this.exchange.isRequestComplete
    if (!isComplete) this.#closeHttp1()
    this.reply({ status: isComplete ? 504 : 408, body: 'stream timeout', details: 'stream_idle_timeout' })
  }

  setMaxDuration(ms: number | undefined): void {
    this.#durationTimer?.cancel()
    this.#durationTimer = undefined
    if (ms === undefined) return
    this.#durationTimer = this.context.clock.after(ms, () => {
      if (this.isOver) return
      this.stats.requests.maxDuration.add()
      if (this.isAnswered) {
        this.info.responseCodeDetails = 'max_duration_timeout'
        this.exchange.reset()
        return
      }
      const isComplete = this.exchange.isRequestComplete
      if (!isComplete) this.#closeHttp1()
      this.reply({
        status: isComplete ? 504 : 408,
        body: 'downstream duration timeout',
        details: 'max_duration_timeout',
        grpcStatus: 4,
      })
    })
  }

  #close(how: 'done' | 'reset'): void {
    if (this.isOver) return
    this.isOver = true
    this.#idleTimer?.cancel()
    this.#durationTimer?.cancel()
    this.#requestTimer?.cancel()
    const { info, stats } = this
    if (how === 'reset') this.#onReset()
    info.lastByteSentMs ??= this.nowMs
    const { requests } = stats
    requests.active.add(-1)
    if (info.responseCode !== undefined) {
      requests.completed.add()
      requests.listenerCompleted.add()
      const digit = Math.floor(info.responseCode / 100)
      requests.byClass[digit]?.add()
      requests.listenerByClass[digit]?.add()
    }
    requests.timeMs.record(this.nowMs - info.startMs)
    if (this.#closeActs !== undefined) for (const act of this.#closeActs) act()
    this.#manager.accessLog.log(info, this.connection, this)
    this.#client.onStreamClosed(this)
  }

  /** By the client, unless something else was told already. */
  #onReset(): void {
    const { info, stats } = this
    if (info.flags.size > 0 || info.responseCodeDetails?.startsWith('http') === true) return
    stats.requests.rxReset.add()
    const isStream = this.exchange.protocol === 'HTTP/2' && !this.connection.stream.destroyed
    info.flags.add(isStream ? 'DR' : 'DC')
    info.responseCodeDetails = isStream ? 'http2.remote_reset' : 'downstream_remote_disconnect'
  }

  /** The codec has found the rest of the request to break the rules. */
  onMalformed({ status, details }: Malformed): void {
    if (status !== undefined && !this.isAnswered) {
      this.exchange.closeAfterResponse()
      this.reply({ status, body: reasonPhrase(status), flag: 'DPE', details })
      return
    }
    this.info.flags.add('DPE')
    this.info.responseCodeDetails = details
  }
}

const slash = 47

/** RFC 3986, 3.2. */
const validAuthority = /^[\w\-.~%!$&'()*+,;=:[\]@]*$/

const none = (): undefined => undefined

type Found = ConstructorParameters<typeof TakenRoute>[0]

/** Envoy answers in place of the route when the virtual host is for TLS only. */
function toHttps(found: Found): Found {
  return {
    ...found,
    route: {
      name: found.route?.name ?? '',
      level: { request: undefined, response: undefined, perFilter: new Map(), mirrors: undefined },
      action: {
        kind: 'redirect',
        status: 301,
        locationOf: (request) => `https://${request.get(':authority')}${request.get(':path')}`,
      },
      bufferLimit: undefined,
    },
  }
}
