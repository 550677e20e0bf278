import type { ClusterHost } from '../cluster/cluster-host.ts'
import { checkHeaders } from './check-headers.ts'
import type { HttpCheck } from './health-check-config.ts'
import { judgeAnswer } from './http-verdict.ts'
import { createHttp2Requests, probeBy } from './http2-requests.ts'
import { authorityOf, type Probe, type ProbeOwner } from './probe.ts'

export function createHttp2Probe(
  host: ClusterHost,
  check: HttpCheck,
  reusesConnection: boolean,
  owner: ProbeOwner,
): Probe {
  const requests = createHttp2Requests(() => owner.connect(host, ['h2']))
  const headers = checkHeaders(
    {
      ':method': check.method,
      ':scheme': 'http',
      ':authority': authorityOf(host, check.host, owner.clusterName),
      ':path': check.path,
      'user-agent': 'Envoy/HC',
    },
    check.headersToAdd,
    check.headersToRemove,
  )
  return probeBy(requests, reusesConnection, async (signal) => {
    const answer = await requests.send(headers, check.body, signal)
    return judgeAnswer(check, {
      status: Number(answer.headers[':status']),
      header: (name) => answer.headers[name]?.toString(),
      body: answer.body,
    })
  })
}
