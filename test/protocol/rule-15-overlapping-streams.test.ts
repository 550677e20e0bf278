import { expect } from 'vitest'
import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { ack, apply, given, type StreamSteps, step, stream, transcript } from '../support/transcript.ts'

const one = { id: 'envoy-1', cluster: 'edge' }

for (const protocol of protocols) {
  for (const end of ['leaves', 'resets'] as const) {
    const [old, young] = [stream('old', one), stream('young', one)]
    const begins = ({ client, server }: StreamSteps) => [
      client((memory, spoken) => ({ node: one, ...asks('endpoint', 'a')(memory, spoken) })),
      server({ type: 'endpoint', resources: ['a'] }),
      client(ack()),
    ]
    transcript(
      `rule 15: of two streams of one node the young one goes on when the old one ${end} (${protocol})`,
      protocol,
      given(resource('endpoint', 'a')),
      ...begins(old),
      ...begins(young),
      step('both are in the status', ({ server }) => expect(server.status.nodes()).toHaveLength(2)),
      old.client[end](),
      apply(resource('endpoint', 'a', 2)),
      young.server({ type: 'endpoint', resources: [resource('endpoint', 'a', 2)] }),
      young.client(ack()),
      young.server.silent(),
    )
  }

  const [old, young] = [stream('old', one), stream('young', one)]
  transcript(
    `rule 15: two streams of one node are answered each for itself (${protocol})`,
    protocol,
    given(resource('endpoint', 'a'), resource('endpoint', 'b')),
    old.client(asks('endpoint', 'a')),
    old.server({ type: 'endpoint', resources: ['a'] }),
    young.client(asks('endpoint', 'b')),
    young.server({ type: 'endpoint', resources: ['b'] }),
    old.client(ack()),
    young.client(ack()),
    apply(resource('endpoint', 'b', 2)),
    young.server({ type: 'endpoint', resources: ['b'] }),
    old.server.silent(),
  )
}
