import { verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  type Memory,
  type Says,
  server,
  transcript,
} from '../support/transcript.ts'

/** A request that was on its way when the newest response was: it tells the version and the nonce of the one before. */
const crossing =
  (more: Says) =>
  (memory: Memory): Says => {
    const before = memory.all(more.type).at(-2)
    if (before === undefined) throw new Error('there is nothing to cross')
    return { version: before.version, nonce: before.nonce, ...more }
  }

const world = given(resource('endpoint', 'a'), resource('endpoint', 'b'), resource('endpoint', 'c'))
const changed = resource('endpoint', 'a', 2)

transcript(
  'rule 9: a subscription that crosses a push is answered at once',
  'sotw',
  world,
  client({ type: 'endpoint', names: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  apply(changed),
  server({ type: 'endpoint', resources: [changed] }),
  client(crossing({ type: 'endpoint', names: ['a', 'b'] })),
  // What has no verdict yet may come along: its ACK is the one that counts (rule 60).
  server({ type: 'endpoint', resources: ['b'], orAlso: ['a'], version: 'same' }),
  verdicts('ack endpoint'),
  client(ack({ names: ['a', 'b'] })),
  server.silent(),
  verdicts('ack endpoint', 'ack endpoint'),
  apply(resource('endpoint', 'b', 2)),
  accepted({ type: 'endpoint', resources: ['b'] }),
)

transcript(
  'rule 9: for clusters, a subscription that crosses a push is answered with the full state',
  'sotw',
  given(resource('cluster', 'a'), resource('cluster', 'b')),
  client({ type: 'cluster', names: ['a'] }),
  accepted({ type: 'cluster', resources: ['a'] }),
  apply(resource('cluster', 'a', 2)),
  server({ type: 'cluster', resources: ['a'] }),
  client(crossing({ type: 'cluster', names: ['a', 'b'] })),
  server({ type: 'cluster', resources: [resource('cluster', 'a', 2), 'b'] }),
  client(ack({ names: ['a', 'b'] })),
  server.silent(),
  verdicts('ack cluster', 'ack cluster'),
)

transcript(
  'rule 9: an ACK that crosses a push is not answered and accepts nothing',
  'sotw',
  world,
  client({ type: 'endpoint', names: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  apply(changed),
  server({ type: 'endpoint', resources: ['a'] }),
  client(crossing({ type: 'endpoint', names: ['a'] })),
  server.silent(),
  verdicts('ack endpoint'),
)

transcript(
  'rule 9: a rejection that crosses a push rejects nothing',
  'sotw',
  world,
  client({ type: 'endpoint', names: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  apply(changed),
  server({ type: 'endpoint', resources: ['a'] }),
  client(crossing({ type: 'endpoint', names: ['a', 'c'], error: 'a is bad' })),
  server({ type: 'endpoint', resources: ['c'], orAlso: ['a'] }),
  verdicts('ack endpoint'),
  client(ack({ names: ['a', 'c'] })),
  server.silent(),
  verdicts('ack endpoint', 'ack endpoint'),
)

transcript(
  'rule 9: a name that a crossing request leaves out is no longer pushed',
  'sotw',
  world,
  client({ type: 'endpoint', names: ['a', 'b'] }),
  accepted({ type: 'endpoint', resources: ['a', 'b'] }),
  apply(changed),
  server({ type: 'endpoint', resources: ['a'] }),
  client(crossing({ type: 'endpoint', names: ['b'] })),
  client(ack({ names: ['b'] })),
  server.silent(),
  apply(resource('endpoint', 'a', 3), resource('endpoint', 'b', 3)),
  accepted({ type: 'endpoint', resources: ['b'] }),
)
