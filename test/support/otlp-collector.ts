import { type MethodDefinition, Server, ServerCredentials } from '@grpc/grpc-js'
import { atTestEnd } from './at-test-end.ts'

/** Takes traces as an OpenTelemetry collector does, by gRPC. */
export interface OtlpCollector {
  readonly port: number
  /** Whether a span of that trace, by its id in hex, came in. */
  hasTrace(id: string): boolean
  /** Whether this text is in anything that came in. */
  heard(text: string): boolean
}

const exportTraces: MethodDefinition<Buffer, Buffer> = {
  path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  requestStream: false,
  responseStream: false,
  requestSerialize: (message) => message,
  requestDeserialize: (message) => message,
  responseSerialize: (message) => message,
  responseDeserialize: (message) => message,
}

/** Ends with the test. What it hears stays in its encoding, in which ids and texts stand as they are. */
export async function startOtlpCollector(): Promise<OtlpCollector> {
  const heard: Buffer[] = []
  const server = new Server()
  server.addService(
    { export: exportTraces },
    {
      export({ request }: { readonly request: Buffer }, done: (error: null, answer: Buffer) => void) {
        heard.push(request)
        // An empty ExportTraceServiceResponse: all of it was taken.
        done(null, Buffer.alloc(0))
      },
    },
  )
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  atTestEnd(() => server.forceShutdown())
  const holds = (bytes: Buffer): boolean => heard.some((message) => message.includes(bytes))
  return { port, hasTrace: (id) => holds(Buffer.from(id, 'hex')), heard: (text) => holds(Buffer.from(text)) }
}
