import { credentials, makeGenericClientConstructor, type Server, ServerCredentials } from '@grpc/grpc-js'
import { service as healthService } from 'grpc-health-check'
import { atTestEnd } from './at-test-end.ts'

type Check = (
  request: { readonly service: string },
  options: { readonly deadline: number },
  callback: (error: Error | null, answer?: { readonly status: string }) => void,
) => void

const HealthClient = makeGenericClientConstructor(healthService, 'Health')

/** What `grpc-health-probe` and orchestrators ask. `target` is an address, or `xds:///NAME`. */
export function healthOf(target: string): () => Promise<string> {
  const client = new HealthClient(target, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 })
  atTestEnd(() => client.close())
  const check = (client as unknown as { readonly check: Check }).check.bind(client)
  return () =>
    new Promise((resolve, reject) => {
      check({ service: '' }, { deadline: Date.now() + 5_000 }, (error, answer) =>
        error === null ? resolve(answer?.status ?? '') : reject(error),
      )
    })
}

/** The port at which the server takes calls until the test ends. */
export async function listenGrpc(server: Server): Promise<number> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  atTestEnd(() => server.forceShutdown())
  return port
}
