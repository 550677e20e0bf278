import type { ClusterHost } from '../cluster/cluster-host.ts'
import { createGrpcProbe } from './grpc-probe.ts'
import type { HealthCheckConfig } from './health-check-config.ts'
import { createHttp1Probe } from './http1-probe.ts'
import { createHttp2Probe } from './http2-probe.ts'
import type { Probe, ProbeOwner } from './probe.ts'
import { createTcpProbe } from './tcp-probe.ts'

export function createProbe(
  host: ClusterHost,
  { check, reusesConnection }: HealthCheckConfig,
  owner: ProbeOwner,
): Probe {
  switch (check.kind) {
    case 'http':
      return (check.isHttp2 ? createHttp2Probe : createHttp1Probe)(host, check, reusesConnection, owner)
    case 'tcp':
      return createTcpProbe(host, check, owner)
    case 'grpc':
      return createGrpcProbe(host, check, reusesConnection, owner)
  }
}
