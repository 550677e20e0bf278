import { expect } from 'vitest'
import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, forNodes, given, server, step, transcript } from '../support/transcript.ts'

const edge = [resource('cluster', 'a', 1), resource('endpoint', 'a', 1)]
const cart = [resource('cluster', 'a', 2), resource('endpoint', 'a', 2)]
const node = { id: 'envoy-1', cluster: 'edge' }

for (const protocol of protocols) {
  transcript(
    `rule 3: a later message with another node changes nothing but the log (${protocol})`,
    { protocol, node },
    given(forNodes({ cluster: 'edge' }, ...edge), forNodes({ cluster: 'cart' }, ...cart)),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: [edge[0] ?? ''] }),
    client(ack({ node: { id: 'cart-1', cluster: 'cart' } })),
    server.silent(),
    server.warns(/node\.id/),
    client(asks('endpoint', 'a')),
    accepted({ type: 'endpoint', resources: [edge[1] ?? ''] }),
    apply(forNodes({ cluster: 'cart' }, resource('cluster', 'a', 3))),
    server.silent(),
    step('the status shows the first node', ({ server: { status } }) => {
      expect(status.nodes().map(({ id }) => id)).toEqual(['envoy-1'])
    }),
  )

  transcript(
    `rule 3: the same node again is nothing to speak of (${protocol})`,
    { protocol, node },
    given(...edge),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client(ack({ node })),
    server.silent(),
    step('nothing was warned of', ({ log }) => {
      expect(log.filter((line) => line.includes('node.id'))).toEqual([])
    }),
  )
}
