import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
} from 'node:http'
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { parseAllDocuments } from 'yaml'
import type { Problem } from '../../../src/errors.ts'
import { problems, waitForProblems } from '../../support/admin-client.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { createAuthority } from '../../support/certificates.ts'
import { runCommand } from '../../support/command.ts'
import { startControlPlane, type TestControlPlane } from '../../support/control-plane.ts'
import { createEtcdStore, createFileStore, type DocumentStore } from '../../support/document-store.ts'
import type { Json } from '../../support/documents.ts'
import { startEtcd, type TestEtcd } from '../../support/etcd.ts'
import { type Load, type LoadOptions, startLoad } from '../../support/load.ts'
import { lowPort } from '../../support/low-port.ts'
import { type NameServer, startNameServer } from '../../support/name-server.ts'
import { eventually } from '../../support/poll.ts'
import { tempDir } from '../../support/temp.ts'
import { openStream, type Protocol, typeUrlOf } from '../../support/wire-client.ts'
import type { DataPlane, MeshSource, ProxyNode, RunningProxy } from './suite.ts'

/** Where a case plays: documents, apps, proxies and requests. All of it ends with the test. */
export interface MeshBed {
  /** A directory of files that documents may name. */
  readonly files: string
  /**
   * Writes documents in one step; of a file that is undefined now, all are gone. `${cart}` is the port of the app of that
   * name, or else a free port, the same each time.
   */
  write(files: Readonly<Record<string, string | undefined>>): Promise<void>
  /** The port that `${name}` stands for in documents. */
  port(name: string): Promise<number>
  /**
   * A proxy of `node.cluster: NAME`, called `NAME-1` where nothing else is said.
   * @param threads see `DataPlane`
   */
  proxy(name: string, node?: Partial<Omit<ProxyNode, 'cluster'>>, threads?: number): Promise<RunningProxy>
  app(name: string, answer?: Answering, options?: AppOptions): Promise<App>
  ask(port: number, question?: Question): Promise<Answer>
  /**
   * So many requests over `connections` kept-alive ones, each sent when the last was answered; by app, or by status. They
   * are alike, or each made for its number.
   */
  send(
    port: number,
    count: number,
    question?: Question | ((index: number) => Question),
    connections?: number,
  ): Promise<Readonly<Record<string, number>>>
  /** The status that a CONNECT is answered with. */
  tunnel(port: number, authority: string): Promise<number>
  /** The app that a client of TLS reaches who asks for a name; undefined where the connection is closed. */
  appByServerName(port: number, name: string): Promise<string | undefined>
  /** Requests by the clock until it is stopped. */
  load(options: LoadOptions): Load
  /** The version of each cluster, listener and route configuration that a proxy of that name is to have, as in `versions`. */
  served(name: string): Promise<Readonly<Record<string, string>>>
  problems(): Promise<readonly Problem[]>
  /** Resolves when these codes are what stands. */
  waitForProblems(codes: readonly string[]): Promise<void>
  /** Without the control plane while that runs; it comes back at the same address with what it kept. */
  withoutServer(body: () => Promise<void>): Promise<void>
  /** What a person does who wants an earlier revision back: `fairlead rollback`, with the place that documents are in. */
  rollback(...args: readonly string[]): Promise<void>
  /** Registers an instance in etcd under a lease of so many seconds. Only where etcd is the source. */
  register(service: string, app: App, leaseS: number): Promise<Registration>
  /** Of the proxies that are started after this was first called. */
  names(): Promise<NameServer>
  /** What documents write as `${log}`: a file of lines of JSON. Resolves when there are so many. */
  logged(lines: number): Promise<readonly Readonly<Record<string, unknown>>[]>
}

export interface Registration {
  /** As an instance that is killed: nothing renews the lease. */
  vanish(): void
}

export interface AppOptions {
  /** HTTP/1.1 where nothing is said; of TLS, it has a certificate for its name. */
  readonly protocol?: 'http2' | 'https'
  readonly host?: string
  readonly port?: number
}

/** A server of this process. It answers 200 unless told otherwise. */
export interface App {
  readonly name: string
  readonly port: number
  /** How often it was connected to. */
  readonly connections: number
  /** How many connections there were at most at a time. */
  readonly mostConnections: number
  /** In the order in which they came. */
  readonly requests: readonly AppRequest[]
  close(): Promise<void>
}

export interface AppRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly bodyBytes: number
  /** SHA-256, in hex. */
  readonly bodyHash: string
}

export type Answering = (request: AppRequest) => AppAnswer | Promise<AppAnswer>

export interface AppAnswer {
  readonly status?: number
  readonly delayMs?: number
  readonly headers?: Readonly<Record<string, string>>
}

export interface Question {
  readonly method?: string
  readonly host?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The app that answered; undefined when the proxy did. */
  readonly app: string | undefined
}

export async function createBed(plane: DataPlane, source: MeshSource, protocol: Protocol): Promise<MeshBed> {
  const { store, etcd } = await storeOf(source)
  const files = tempDir()
  const logFile = join(tempDir(), 'access.log')
  let nameServer: NameServer | undefined
  const ports = new Map<string, number>()
  const [xdsPort, adminPort] = [await lowPort(), await lowPort()]
  const flags = {
    ...store.flags,
    listen: `127.0.0.1:${xdsPort}`,
    admin: `127.0.0.1:${adminPort}`,
    snapshots: tempDir(),
    allowFile: [files],
  }
  let server: Promise<TestControlPlane> | undefined
  const running = (): Promise<TestControlPlane> => (server ??= startControlPlane(flags))
  const adminUrl = `http://127.0.0.1:${adminPort}`
  const written = new Map<string, number>()

  const portOf = async (name: string): Promise<number> => {
    const known = ports.get(name) ?? (await lowPort())
    ports.set(name, known)
    return known
  }
  const agent = new Agent({ keepAlive: true })
  atTestEnd(() => agent.destroy())

  return {
    files,
    async write(files) {
      const changes: Record<string, Json | undefined> = {}
      for (const [file, text] of Object.entries(files)) {
        const documents = text === undefined ? [] : await documentsOf(text.replaceAll('${log}', logFile), portOf)
        for (const [index, document] of documents.entries()) changes[`${file}-${index}`] = document
        for (let index = documents.length; index < (written.get(file) ?? 0); index++)
          changes[`${file}-${index}`] = undefined
        written.set(file, documents.length)
      }
      if (Object.keys(changes).length > 0) await store.write(changes)
    },
    port: portOf,
    async proxy(name, node = {}, threads = 1) {
      const { pipeline } = await running()
      await pipeline.ready
      return await plane.start({
        node: { id: `${name}-1`, cluster: name, ...node },
        xds: `127.0.0.1:${xdsPort}`,
        protocol,
        ...(nameServer && { nameServer: nameServer.port }),
        threads,
      })
    },
    async app(name, answer, options) {
      const app = await startApp(name, answer, options)
      ports.set(name, app.port)
      return app
    },
    ask: (port, question = {}) => ask(port, question, agent),
    async send(port, count, question = {}, connections = 16) {
      const byApp: Record<string, number> = {}
      let left = count
      const pool = new Agent({ keepAlive: true, maxSockets: connections })
      const one = async (): Promise<void> => {
        while (left-- > 0) {
          const own = typeof question === 'function' ? question(count - left - 1) : question
          const { app, status } = await ask(port, own, pool)
          const key = status === 200 ? (app ?? 'proxy') : `${status}`
          byApp[key] = (byApp[key] ?? 0) + 1
        }
      }
      await Promise.all(Array.from({ length: connections }, one))
      pool.destroy()
      return byApp
    },
    tunnel,
    appByServerName,
    load: startLoad,
    async served(name) {
      const found: Record<string, string> = {}
      for (const type of ['cluster', 'listener', 'route']) {
        const stream = openStream({ port: xdsPort, protocol: 'delta' })
        const node = { id: `${name}-wire`, cluster: name }
        stream.send({ node, type_url: typeUrlOf(type), resource_names_subscribe: ['*'] })
        for (const resource of (await stream.next()).resources) found[`${type} ${resource.name}`] = resource.version
        stream.cancel()
      }
      return found
    },
    problems: () => problems(adminUrl),
    waitForProblems: (codes) => waitForProblems(adminUrl, codes),
    async withoutServer(body) {
      await (await server)?.close()
      server = undefined
      await body()
      await running()
    },
    async rollback(...args) {
      const { config, etcd: endpoints, etcdPrefix } = store.flags
      const place = source === 'files' ? ['--config', ...(config as string[])] : ['--etcd', String(endpoints)]
      const prefix = source === 'files' ? [] : ['--etcd-prefix', String(etcdPrefix)]
      const { code, err } = await runCommand(['rollback', ...args, ...place, ...prefix, '--server', adminUrl])
      if (code !== 0) throw new Error(`rollback ended with ${code}: ${err}`)
    },
    async register(service, { name, port }, leaseS) {
      if (etcd === undefined) throw new Error('instances register in etcd')
      const lease = etcd.client.lease(leaseS)
      const key = `${String(store.flags['etcdPrefix'])}endpoints/${service}/${name}`
      await lease.put(key).value(JSON.stringify({ address: '127.0.0.1', port }))
      atTestEnd(() => lease.release())
      return { vanish: () => lease.release() }
    },
    async names() {
      nameServer ??= await startNameServer()
      return nameServer
    },
    logged: (lines) =>
      eventually(() => {
        const all = readFileSync(logFile, 'utf8').split('\n').slice(0, -1)
        if (all.length < lines) throw new Error(`${all.length} lines of ${lines}`)
        return all.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      }),
  }
}

async function storeOf(source: MeshSource): Promise<{ readonly store: DocumentStore; readonly etcd?: TestEtcd }> {
  if (source === 'files') return { store: createFileStore() }
  const etcd = await startEtcd()
  return { store: createEtcdStore(etcd), etcd }
}

async function documentsOf(text: string, portOf: (name: string) => Promise<number>): Promise<readonly Json[]> {
  const names = [...text.matchAll(/\$\{([\w-]+)\}/g)].map(([, name]) => name as string)
  for (const name of names) await portOf(name)
  let filled = text
  for (const name of new Set(names)) filled = filled.replaceAll(`\${${name}}`, String(await portOf(name)))
  return parseAllDocuments(filled).map((document) => document.toJS() as Json)
}

async function startApp(
  name: string,
  answer: Answering = () => ({}),
  { protocol, host = '127.0.0.1', port = 0 }: AppOptions = {},
): Promise<App> {
  const requests: AppRequest[] = []
  const listener: RequestListener = (request, response) => {
    const hash = createHash('sha256')
    let bodyBytes = 0
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      bodyBytes += chunk.length
    })
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request
      const seen = { method, path, headers, bodyBytes, bodyHash: hash.digest('hex') }
      requests.push(seen)
      const finish = async (): Promise<void> => {
        const { status = 200, delayMs = 0, headers: own = {} } = await answer(seen)
        if (delayMs > 0) await sleep(delayMs)
        response.writeHead(status, { 'content-type': 'application/json', 'x-app': name, ...own })
        response.end(JSON.stringify({ backend: name, method, path, bodyHash: seen.bodyHash }))
      }
      void finish()
    })
  }
  const server = await serverOf(name, protocol, listener)
  // A connection that idles out while a proxy writes on it would be a failure that no case asked for.
  if ('keepAliveTimeout' in server) server.keepAliveTimeout = 0
  const sockets = new Set<Socket>()
  const seen = { connections: 0, mostConnections: 0 }
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    seen.connections += 1
    seen.mostConnections = Math.max(seen.mostConnections, sockets.size)
  })
  server.listen(port, host)
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }
  atTestEnd(close)
  return {
    name,
    port: (server.address() as AddressInfo).port,
    requests,
    get connections() {
      return seen.connections
    },
    get mostConnections() {
      return seen.mostConnections
    },
    close,
  }
}

async function serverOf(name: string, protocol: AppOptions['protocol'], listener: RequestListener) {
  if (protocol === undefined) return createServer(listener)
  if (protocol === 'http2') return createHttp2Server(asHttp2(listener))
  const { certificate, key } = await (await createAuthority()).issue({ name })
  return createSecureServer({ cert: certificate, key }, listener)
}

/** What a listener of HTTP/1 uses here is there in HTTP/2, too. */
const asHttp2 = (listener: RequestListener) =>
  listener as unknown as (request: Http2ServerRequest, response: Http2ServerResponse) => void

const patienceMs = 20_000

async function tunnel(port: number, authority: string): Promise<number> {
  const sent = httpRequest({ host: '127.0.0.1', port, method: 'CONNECT', path: authority }).end()
  const [response, socket] = (await once(sent, 'connect')) as [IncomingMessage, Socket]
  socket.destroy()
  return response.statusCode ?? 0
}

function appByServerName(port: number, name: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername: name, rejectUnauthorized: false })
    socket.setTimeout(patienceMs, () => reject(new Error(`no answer in ${patienceMs} ms`)))
    socket.once('secureConnect', () => {
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      resolve(String(subject.CN))
    })
    socket.once('error', () => resolve(undefined))
  })
}

function ask(
  port: number,
  { method = 'GET', host, path = '/', headers, body }: Question,
  agent: Agent,
): Promise<Answer> {
  const own = { ...headers, ...(host !== undefined && { host }) }
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, method, path, headers: own, agent }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        const app = response.headers['x-app']
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text,
          app: typeof app === 'string' ? app : undefined,
        })
      })
    })
    sent.setTimeout(patienceMs, () => sent.destroy(new Error(`no answer in ${patienceMs} ms`)))
    sent.on('error', reject)
    sent.end(body)
  })
}
