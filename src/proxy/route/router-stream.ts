import type { Timer } from '../../clock.ts'
import type { BalanceQuestion, Cluster } from '../cluster/cluster.ts'
import type { Host } from '../cluster/host.ts'
import { Headers } from '../http/headers.ts'
import type { FilterOwner, LocalReply } from '../http/http-filter.ts'
import type { ResponseSource, RoutedStream } from '../http/routed-stream.ts'
import type { TakenRoute } from '../http/taken-route.ts'
import { UpstreamFailure, type UpstreamResponse, type UpstreamStream } from '../upstream/upstream.ts'
import { type ClusterCounts, countsOf } from './cluster-counts.ts'
import type { ForwardAction } from './forward-action.ts'
import { grpcStatusToHttp } from './grpc-outcome.ts'
import { hashOf, hashSubjectOf } from './hash-policy.ts'
import { applyHeaderChanges } from './header-changes.ts'
import { mirrorsOf, openMirror } from './mirror.ts'
import type { Redirect } from './redirect.ts'
import { RequestBody } from './request-body.ts'
import { type NoRetry, RetryState } from './retry-state.ts'
import { rewriteHost, rewritePath } from './rewrite-request.ts'
import { isGrpc } from './route-match.ts'
import type { DirectResponse } from './route-table.ts'
import type { RouterConfig } from './router-config.ts'
import { maxDurationOf, type RouterTimeouts, tellTimeout, timeoutsOf } from './router-timeouts.ts'
import { splice } from './splice.ts'
import { type TryListener, UpstreamTry } from './upstream-try.ts'

/** The router's part in one stream: from the route to a response, with as many tries as it takes and may take. */
export class RouterStream implements TryListener, ResponseSource {
  readonly #stream: RoutedStream
  readonly #config: RouterConfig
  readonly #owner: FilterOwner
  #route!: TakenRoute
  #action!: ForwardAction
  #cluster!: Cluster
  #counts!: ClusterCounts
  #timeouts!: RouterTimeouts
  #retry: RetryState | undefined
  #body: RequestBody | undefined
  #hash: bigint | undefined
  #tried: Set<Host> | undefined
  #triedPriorities: number[] | undefined
  #current: UpstreamTry | undefined
  #response: UpstreamResponse | undefined
  /** When the request had come whole; undefined before. */
  #requestDoneMs: number | undefined
  #timer: Timer | undefined
  #backOff: Timer | undefined
  #isOver = false
  #hasRetried = false

  constructor(stream: RoutedStream, config: RouterConfig, owner: FilterOwner) {
    this.#stream = stream
    this.#config = config
    this.#owner = owner
  }

  start(): void {
    const route = this.#stream.route()
    const action = route?.action
    this.#stream.stats.routes.total.add()
    if (route === undefined || action === undefined) {
      this.#stream.stats.routes.noRoute.add()
      this.#stream.reply({ status: 404, flag: 'NR', details: 'route_not_found' })
      return
    }
    this.#route = route
    if (action.kind === 'forward') this.#forward(action)
    else this.#answer(action)
  }

  /** A redirect or direct response. */
  #answer(action: Redirect | DirectResponse): void {
    const stream = this.#stream
    const { routes } = stream.stats
    routes.direct.add()
    const headers = new Headers()
    if (action.kind === 'redirect') {
      headers.append('location', action.locationOf(stream.request))
    }
    const body = action.kind === 'respond' ? action.body?.toString() : undefined
    stream.reply({
      status: action.status,
      headers,
      details: 'direct_response',
      ...(body !== undefined && body !== '' && { body }),
    })
  }

  #forward(action: ForwardAction): void {
    const stream = this.#stream
    const { request, stats } = stream
    const name = this.#route.cluster
    const cluster = name === undefined ? undefined : this.#owner.clusters.get(name)
    if (cluster === undefined) {
      stats.routes.noCluster.add()
      stream.reply({ status: action.notFoundStatus, flag: 'NC', details: 'cluster_not_found' })
      return
    }
    this.#action = action
    this.#cluster = cluster
    this.#counts = countsOf(cluster)
    if (cluster.dropsOverload?.() === true) {
      stream.reply({ status: 503, body: 'drop overload', flag: 'DO', details: 'drop_overload' })
      return
    }
    stream.onClosed(() => this.#close())
    this.#setDurations(action)
    const policy = action.retry ?? this.#route.found.virtualHost.retry
    this.#timeouts = timeoutsOf(request, action, policy, this.#config)
    if (!this.#config.suppressesEnvoyHeaders) tellTimeout(request, this.#timeouts, 0)
    for (const changes of this.#route.headerChanges('request')) applyHeaderChanges(request, changes, stream)
    rewriteHost(request, action, this.#route.chosen?.weighted?.hostRewrite, this.#config.suppressesEnvoyHeaders)
    rewritePath(request, action, this.#config.suppressesEnvoyHeaders)
    if (action.hashPolicies.length > 0) this.#hash = this.#hashOf(action)
    const { context } = this.#owner
    this.#retry = RetryState.of(request, policy, cluster, cluster.circuit(action.priority).retries, context)
    if (stream.upgrade === 'connect') {
      this.#connect()
      return
    }
    if (stream.upgrade === undefined) this.#takeBody()
    this.#mirror()
    this.#try()
  }

  #setDurations(action: ForwardAction): void {
    const stream = this.#stream
    const { idleTimeoutMs } = action
    if (idleTimeoutMs !== undefined) stream.setIdleTimeout(idleTimeoutMs === 0 ? undefined : idleTimeoutMs)
    const longest = maxDurationOf(stream.request, action)
    if (longest !== undefined) stream.setMaxDuration(longest === 0 ? undefined : longest)
  }

  #hashOf(action: ForwardAction): bigint | undefined {
    const stream = this.#stream
    return hashOf(
      action.hashPolicies,
      hashSubjectOf(stream, (line) => stream.setCookie(line)),
    )
  }

  #takeBody(): void {
    const stream = this.#stream
    const source = stream.body
    if (source === undefined) {
      this.#onRequestDone()
      return
    }
    const { route, virtualHost } = this.#route.found
    this.#body = new RequestBody(source, () => stream.requestTrailers(), {
      isKept: this.#retry !== undefined || mirrorsOf(this.#route).length > 0,
      limit: route?.bufferLimit ?? virtualHost.bufferLimit ?? this.#owner.bufferLimit,
      onEnd: () => this.#onRequestDone(),
      onTooLong: () => {
        this.#counts.retryOrShadowAbandoned.add()
        this.#retry?.release()
        this.#retry = undefined
      },
    })
  }

  /** The timeouts run from here. */
  #onRequestDone(): void {
    const { clock } = this.#owner.context
    this.#requestDoneMs = clock.now()
    const { global } = this.#timeouts
    if (global > 0 && !this.#isOver) this.#timer = clock.after(global, () => this.#onTimeout())
    if (this.#current !== undefined) this.#armTry(this.#current)
  }

  #mirror(): void {
    for (const mirror of mirrorsOf(this.#route)) openMirror(mirror, this.#stream, this.#owner, this.#body)
  }

  #try(): void {
    const { info } = this.#stream
    info.attempts += 1
    const chosen = this.#cluster.chooseHost(this.#question())
    if (chosen instanceof Promise) {
      chosen.then(
        (host) => {
          if (!this.#isOver) this.#tryHost(host)
        },
        () => {
          if (!this.#isOver) this.#tryHost(undefined)
        },
      )
    } else this.#tryHost(chosen)
  }

  #question(): BalanceQuestion {
    const { request } = this.#stream
    const metadata = { ...this.#action.metadataMatch, ...this.#route.chosen?.weighted?.metadataMatch }
    const policy = this.#retry?.policy
    return {
      headers: request,
      ...(this.#hash !== undefined && { hash: this.#hash }),
      ...(Object.keys(metadata).length > 0 && { metadataMatch: metadata }),
      ...(this.#tried !== undefined && { tried: this.#tried, maxAttempts: policy?.hostAttempts ?? 1 }),
      ...(this.#triedPriorities !== undefined && { triedPriorities: this.#triedPriorities }),
    }
  }

  #tryHost(host: Host | undefined): void {
    const stream = this.#stream
    const { info, request } = stream
    if (host === undefined) {
      this.#counts.countStatus(503, this.#isInternal)
      this.#retry?.release()
      this.#reply({ status: 503, body: 'no healthy upstream', flag: 'UH', details: 'no_healthy_upstream' })
      return
    }
    this.#noteTried(host)
    info.upstreamHost = host
    if (this.#action.hostRewrite?.kind === 'auto' && host.hostname !== '') request.set(':authority', host.hostname)
    if (this.#route.found.virtualHost.sendsAttemptCount) request.set('x-envoy-attempt-count', String(info.attempts))
    const { clock } = this.#owner.context
    const one = new UpstreamTry(host, clock.now(), this)
    this.#current = one
    const { protocol } = stream.exchange
    one.open(this.#owner.connections, this.#cluster.ownerOf?.(host) ?? this.#cluster, {
      headers: request,
      isEnd: this.#body === undefined && stream.upgrade === undefined,
      priority: this.#action.priority,
      downstreamProtocol: protocol === 'HTTP/2' ? 'HTTP/2' : 'HTTP/1.1',
      client: stream.connection,
      ...(stream.upgrade !== undefined && { upgrade: stream.upgrade }),
    })
    if (this.#requestDoneMs !== undefined) this.#armTry(one)
  }

  #noteTried(host: Host): void {
    const policy = this.#retry?.policy
    if (policy === undefined) return
    if (policy.avoidsTriedHosts) {
      this.#tried ??= new Set()
      this.#tried.add(host)
    }
    if (policy.previousPriorities !== undefined) {
      this.#triedPriorities ??= []
      this.#triedPriorities.push(host.priority)
    }
  }

  #armTry(one: UpstreamTry): void {
    if (one.isOver || one.timer !== undefined) return
    const { clock } = this.#owner.context
    const { perTry } = this.#timeouts
    const longest = this.#cluster.config.http.maxStreamDurationMs
    if (perTry > 0) {
      one.timer = clock.after(perTry, () => {
        this.#counts.perTryTimeout.add()
        this.#onTryTimeout(one, 'UT', 'upstream_per_try_timeout')
      })
    } else if (longest !== undefined && longest > 0) {
      one.timer = clock.after(longest, () => {
        this.#counts.maxDuration.add()
        this.#onTryTimeout(one, 'UMSDR', 'upstream_max_stream_duration_reached')
      })
    }
    if (this.#timeouts.perTryIdle > 0) {
      one.idleTimer = clock.after(this.#timeouts.perTryIdle, () => {
        this.#counts.perTryIdleTimeout.add()
        this.#onTryTimeout(one, 'SI', 'upstream_per_try_idle_timeout')
      })
    }
  }

  onStream(stream: UpstreamStream): void {
    const { info, upgrade } = this.#stream
    info.upstreamLocalAddress = stream.localAddress
    info.upstreamProtocol = stream.protocol
    stream.onInterim((headers) => this.#stream.sendInterim(headers))
    if (upgrade === undefined) this.#body?.attach(stream)
  }

  onFailure(one: UpstreamTry, failure: UpstreamFailure): void {
    const { info } = this.#stream
    this.#body?.detach()
    if (failure.transportFailure !== '') info.upstreamTransportFailure = failure.transportFailure.replaceAll(' ', '_')
    if (failure.flag !== 'UO') {
      one.host.stats.rqError += 1
      one.host.report({ failure: failure.flag === 'UF' ? 'connect' : 'reset' })
    }
    if (this.#retried((retry) => retry.onBreakOff(failure))) return
    info.flags.add(failure.flag)
    // What is no HTTP is a bad gateway; all else may be better another time.
    const status = failure.flag === 'UPE' ? 502 : 503
    this.#counts.countStatus(status, this.#isInternal)
    const again = this.#hasRetried ? 'retried and the latest ' : ''
    this.#reply({
      status,
      body: `upstream connect error or disconnect/reset before headers. ${again}reset reason: ${failure.reason}`,
      details: detailsOf(failure),
      ...(failure.flag === 'UO' &&
        !this.#config.suppressesEnvoyHeaders && {
          headers: Headers.of({ 'x-envoy-overloaded': 'true' }),
        }),
    })
  }

  /** Whether it is tried again. */
  #retried(decide: (retry: RetryState) => number | NoRetry): boolean {
    const retry = this.#retry
    if (retry === undefined || this.#stream.isAnswered || this.#stream.isOver) return false
    // What has not come whole cannot be said again.
    if (this.#body !== undefined && !this.#body.isEnded) return false
    const decision = decide(retry)
    if (typeof decision !== 'number') {
      if (decision === 'limit exceeded') this.#stream.info.flags.add('URX')
      if (decision === 'overflow') this.#stream.info.flags.add('UO')
      return false
    }
    this.#hasRetried = true
    this.#current = undefined
    this.#backOff = this.#owner.context.clock.after(decision, () => {
      if (this.#isOver) return
      if (!this.#config.suppressesEnvoyHeaders) tellTimeout(this.#stream.request, this.#timeouts, this.#elapsedMs)
      this.#try()
    })
    return true
  }

  get #elapsedMs(): number {
    return this.#requestDoneMs === undefined ? 0 : this.#owner.context.clock.now() - this.#requestDoneMs
  }

  get #isInternal(): boolean {
    return this.#stream.request.has('x-envoy-internal')
  }

  #onTryTimeout(one: UpstreamTry, flag: string, details: string): void {
    if (one.isOver || this.#isOver) return
    one.giveUp()
    this.#body?.detach()
    one.host.stats.rqTimeout += 1
    one.host.stats.rqError += 1
    one.host.report({ failure: 'timeout' })
    if (this.#retried((retry) => retry.onBreakOff('timeout'))) return
    this.#answerTimeout(flag, details)
  }

  #onTimeout(): void {
    if (this.#isOver) return
    this.#counts.timeout.add()
    const one = this.#current
    this.#backOff?.cancel()
    if (one !== undefined && !one.isOver) {
      one.host.stats.rqTimeout += 1
      one.host.stats.rqError += 1
      one.host.report({ failure: 'timeout' })
    }
    one?.giveUp()
    if (this.#stream.isAnswered) {
      this.#stream.info.flags.add('UT')
      this.#response?.body.destroy(new Error('the response takes too long'))
      return
    }
    this.#answerTimeout('UT', 'response_timeout')
  }

  #answerTimeout(flag: string, details: string): void {
    this.#retry?.release()
    this.#counts.countStatus(504, this.#isInternal)
    this.#reply({ status: 504, body: 'upstream request timeout', flag, details })
  }

  onResponse(one: UpstreamTry, response: UpstreamResponse): void {
    const stream = this.#stream
    const { info } = stream
    const { headers } = response
    const status = Number(headers.get(':status'))
    info.responseCode = status
    info.responseCodeDetails = 'via_upstream'
    info.firstUpstreamByteMs = this.#owner.context.clock.now()
    this.#report(one, headers, status)
    if (this.#retried((retry) => retry.onHeaders(headers))) {
      this.#counts.countStatus(status, this.#isInternal)
      one.giveUp()
      response.body.on('error', ignore)
      response.body.resume()
      return
    }
    this.#response = response
    if (mirrorsOf(this.#route).length === 0) this.#body?.letGo()
    this.#counts.countStatus(status, this.#isInternal)
    if (this.#config.suppressesEnvoyHeaders) headers.remove('x-envoy-upstream-service-time')
    else headers.set('x-envoy-upstream-service-time', String(Math.floor(this.#elapsedMs)))
    this.#route.changeResponse(headers, stream)
    this.#tellAttempts(headers)
    response.body.on('error', ignore)
    if (status === 101 && stream.upgrade !== undefined && one.stream !== undefined) {
      this.#grant(one.stream, response)
      return
    }
    if (stream.upgrade === 'websocket') {
      one.giveUp()
      stream.exchange.closeAfterResponse()
      stream.info.responseCode = undefined
      stream.reply({ status, details: 'websocket_handshake_unsuccessful' })
      return
    }
    const isEmpty =
      response.isEnd === true || status === 204 || status === 304 || stream.request.get(':method') === 'HEAD'
    if (isEmpty) response.body.resume()
    stream.respond({ headers, body: isEmpty ? undefined : response.body }, this)
  }

  #tellAttempts(headers: Headers): void {
    const { attempts } = this.#stream.info
    if (this.#route.found.virtualHost.answersAttemptCount && attempts > 0)
      headers.set('x-envoy-attempt-count', String(attempts))
  }

  /** An answer of the router's own, behind a try. */
  #reply(reply: LocalReply): void {
    const headers = reply.headers ?? new Headers()
    this.#tellAttempts(headers)
    this.#stream.reply({ ...reply, headers })
  }

  #report({ host, startMs }: UpstreamTry, headers: Headers, status: number): void {
    host.reportLatency?.(this.#owner.context.clock.now() - startMs)
    const grpcStatus = isGrpc(this.#stream.request) ? headers.get('grpc-status') : undefined
    const outcome = grpcStatus === undefined ? status : grpcStatusToHttp(Number(grpcStatus))
    host.report({ status: outcome })
    const load = headers.get(loadHeader)
    if (load !== undefined) host.reportLoad?.(load)
    if (outcome >= 500) host.stats.rqError += 1
    else host.stats.rqSuccess += 1
  }

  trailers(): Headers | undefined {
    return this.#response?.trailers()
  }

  /** The response has gone by. */
  onDone(error?: Error): void {
    const one = this.#current
    if (error === undefined) {
      this.#counts.countTime(this.#elapsedMs, this.#isInternal)
      const status = this.#grpcStatusBehind()
      if (status !== undefined && one !== undefined) one.host.report({ status: grpcStatusToHttp(status) })
      const load = this.#response?.isEnd === true ? undefined : this.#response?.trailers()?.get(loadHeader)
      if (load !== undefined) one?.host.reportLoad?.(load)
    } else if (one !== undefined) one.host.report({ failure: 'reset' })
    if (one !== undefined) one.isOver = true
    this.#end()
  }

  #grpcStatusBehind(): number | undefined {
    const text = this.#response?.isEnd === true ? undefined : this.#response?.trailers()?.get('grpc-status')
    return text === undefined ? undefined : Number(text)
  }

  #grant(upstream: UpstreamStream, response: UpstreamResponse): void {
    this.#timer?.cancel()
    const { headers } = response
    headers.remove('content-length')
    headers.remove('transfer-encoding')
    if (!headers.has('connection')) headers.append('connection', 'Upgrade')
    const client = this.#stream.takeOver(headers)
    splice(client, { readable: response.body, writable: upstream.body }, this.#stream.info, () => this.#stream.touch())
  }

  /** CONNECT: what is within goes to the host as it is. */
  #connect(): void {
    const stream = this.#stream
    if (!this.#action.terminatesConnect) {
      stream.reply({ status: 403, details: 'upgrade_failed' })
      return
    }
    stream.info.attempts += 1
    void this.#openConnect()
  }

  async #openConnect(): Promise<void> {
    const stream = this.#stream
    const host = await this.#cluster.chooseHost(this.#question())
    if (this.#isOver) return
    if (host === undefined) {
      this.#tryHost(undefined)
      return
    }
    stream.info.upstreamHost = host
    try {
      const upstream = await this.#owner.connections.connect(this.#cluster.ownerOf?.(host) ?? this.#cluster, host)
      if (this.#isOver) {
        upstream.close()
        return
      }
      stream.info.upstreamLocalAddress = upstream.localAddress
      stream.info.responseCodeDetails = 'via_upstream'
      host.report({ connected: true })
      stream.onClosed(() => upstream.close())
      stream.info.responseCode = 200
      const headers = Headers.of({ ':status': '200' })
      this.#tellAttempts(headers)
      this.#route.changeResponse(headers, stream)
      const client = stream.takeOver(headers)
      splice(client, { readable: upstream.socket, writable: upstream.socket }, stream.info, () => stream.touch())
    } catch (error) {
      const failure = error instanceof UpstreamFailure ? error : new UpstreamFailure('UF', 'remote connection failure')
      host.report({ failure: 'connect' })
      stream.info.flags.add(failure.flag)
      this.#reply({
        status: 503,
        body: `upstream connect error or disconnect/reset before headers. reset reason: ${failure.reason}`,
        details: detailsOf(failure),
      })
    }
  }

  /** The stream is over, however it ended. */
  #close(): void {
    if (this.#isOver) return
    const one = this.#current
    if (one !== undefined && !one.isOver) {
      if (one.stream === undefined) this.#counts.cancelled.add()
      one.giveUp()
    }
    this.#end()
  }

  #end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#backOff?.cancel()
    this.#retry?.release()
    this.#body?.stop()
  }
}

const ignore = (): void => undefined

/** An upstream's report of how busy it is (ORCA). */
const loadHeader = 'endpoint-load-metrics'

/** `upstream_reset_before_response_started{connection_termination}` */
function detailsOf({ reason, transportFailure }: UpstreamFailure): string {
  const transport = transportFailure === '' ? '' : `|${transportFailure}`
  return `upstream_reset_before_response_started{${reason}${transport}}`.replaceAll(' ', '_')
}
