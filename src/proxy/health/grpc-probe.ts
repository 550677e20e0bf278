import { varint } from '../../resource/varint.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import { checkHeaders } from './check-headers.ts'
import type { GrpcCheck } from './health-check-config.ts'
import { createHttp2Requests, type Http2Answer, probeBy } from './http2-requests.ts'
import { authorityOf, failed, type Probe, type ProbeOwner, passed } from './probe.ts'

/** Asks `grpc.health.v1.Health/Check`. */
export function createGrpcProbe(
  host: ClusterHost,
  check: GrpcCheck,
  reusesConnection: boolean,
  owner: ProbeOwner,
): Probe {
  const requests = createHttp2Requests(() => owner.connect(host, ['h2']))
  const headers = checkHeaders(
    {
      ':method': 'POST',
      ':scheme': 'http',
      ':authority': authorityOf(host, check.authority, owner.clusterName),
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'Envoy/HC',
    },
    check.metadata,
    [],
  )
  const request = frame(checkRequest(check.serviceName))
  return probeBy(requests, reusesConnection, async (signal) =>
    isServing(await requests.send(headers, request, signal)) ? passed : failed,
  )
}

/** `HealthCheckRequest`: its one field is the service's name. */
function checkRequest(service: string): Buffer {
  const name = Buffer.from(service)
  return name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.of(0x0a), varint(name.length), name])
}

function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** `HealthCheckResponse.status` is field 1, and `SERVING` is 1. */
function isServing({ headers, trailers, body }: Http2Answer): boolean {
  const grpcStatus = trailers['grpc-status'] ?? headers['grpc-status']
  if (Number(headers[':status']) !== 200 || grpcStatus !== '0' || body.length < 5) return false
  const message = body.subarray(5, 5 + body.readUInt32BE(1))
  return message.length === 2 && message[0] === 0x08 && message[1] === 1
}
