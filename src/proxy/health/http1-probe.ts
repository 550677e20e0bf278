import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import { checkHeaders } from './check-headers.ts'
import type { HttpCheck } from './health-check-config.ts'
import { judgeAnswer } from './http-verdict.ts'
import { authorityOf, type Probe, type ProbeOwner, type ProbeResult, unreachable } from './probe.ts'

/** One request over HTTP/1.1 at a time; the connection stays for the next one where it may. */
export function createHttp1Probe(
  host: ClusterHost,
  check: HttpCheck,
  reusesConnection: boolean,
  owner: ProbeOwner,
): Probe {
  const agent = new ProbeAgent(host, owner, reusesConnection)
  const headers = checkHeaders(
    { host: authorityOf(host, check.host, owner.clusterName), 'user-agent': 'Envoy/HC' },
    check.headersToAdd,
    check.headersToRemove,
  )
  if (check.body.length > 0) headers.set('content-length', String(check.body.length))
  return {
    check: (signal) =>
      new Promise((resolve) => {
        const fail = (): void => resolve(unreachable)
        let asking: ClientRequest
        try {
          asking = request({ agent, method: check.method, path: check.path, headers: [...headers.flat], signal })
        } catch {
          fail()
          return
        }
        asking.once('error', fail)
        asking.once('response', (response) => {
          read(response).then((body) => resolve(verdictOf(check, response, body)), fail)
        })
        asking.end(check.body)
      }),
    close: () => agent.destroy(),
  }
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function verdictOf(check: HttpCheck, { statusCode = 0, headers }: IncomingMessage, body: Buffer): ProbeResult {
  return judgeAnswer(check, { status: statusCode, body, header: (name) => headers[name]?.toString() })
}

type OnConnected = (error: Error | null, socket: Duplex) => void

/** Connects as the cluster's own requests do. */
class ProbeAgent extends Agent {
  readonly #host: ClusterHost
  readonly #owner: ProbeOwner

  constructor(host: ClusterHost, owner: ProbeOwner, keepAlive: boolean) {
    super({ keepAlive, maxSockets: 1 })
    this.#host = host
    this.#owner = owner
  }

  override createConnection(_: unknown, onConnected?: OnConnected): Duplex {
    this.#owner.connect(this.#host).then(
      (socket) => onConnected?.(null, socket),
      (error: unknown) => onConnected?.(error as Error, undefined as never),
    )
    // Node waits for the callback where nothing is returned, which its types do not say.
    return undefined as never
  }
}
