import { asks, protocols } from '../support/conversation.ts'
import { edsCluster, resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript } from '../support/transcript.ts'

for (const protocol of protocols) {
  transcript(
    `rule 24: an EDS cluster without an assignment has an explicit empty one (${protocol})`,
    protocol,
    given(edsCluster('a')),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a'] }),
    client(asks('endpoint', 'a')),
    accepted({ type: 'endpoint', resources: [resource('endpoint', 'a')] }),
    server.silent(),
    apply(resource('endpoint', 'a', 2)),
    accepted({ type: 'endpoint', resources: [resource('endpoint', 'a', 2)] }),
  )

  transcript(
    `rule 24: a cluster that takes no endpoints from here has none (${protocol})`,
    protocol,
    given(resource('cluster', 'static')),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['static'] }),
    client(asks('endpoint', 'static')),
    protocol === 'delta' ? accepted({ type: 'endpoint', removed: ['static'] }) : [],
    server.silent(),
  )
}
