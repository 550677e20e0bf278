import { asks, protocols, requestsTaken } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript, withheld } from '../support/transcript.ts'

const both = [resource('endpoint', 'a'), resource('endpoint', 'b')]

transcript(
  'rule 8: of three requests before anything can be said only the last is answered',
  'sotw',
  given(...both, withheld({})),
  client(asks('endpoint', 'a')),
  client(asks('endpoint', 'a', 'b')),
  client(asks('endpoint', 'b')),
  requestsTaken(3),
  apply(withheld()),
  accepted({ type: 'endpoint', resources: ['b'] }),
  server.silent(),
)

transcript(
  'rule 8: what was unsubscribed before anything could be said is not answered',
  'delta',
  given(...both, withheld({})),
  client({ type: 'endpoint', subscribe: ['a'] }),
  client({ type: 'endpoint', subscribe: ['b'] }),
  client({ type: 'endpoint', unsubscribe: ['a'] }),
  requestsTaken(3),
  apply(withheld()),
  accepted({ type: 'endpoint', resources: ['b'] }),
  server.silent(),
)

for (const protocol of protocols) {
  transcript(
    `rule 8: the newest request is the subscription, also for what appears later (${protocol})`,
    protocol,
    given(...both),
    client(asks('endpoint', 'a')),
    accepted({ type: 'endpoint', resources: ['a'] }),
    client((memory, spoken) =>
      spoken === 'sotw'
        ? { type: 'endpoint', names: ['x'], version: memory.last().version, nonce: memory.last().nonce }
        : { type: 'endpoint', unsubscribe: ['a'] },
    ),
    client((memory, spoken) =>
      spoken === 'sotw'
        ? { type: 'endpoint', names: ['b'], version: memory.last().version, nonce: memory.last().nonce }
        : { type: 'endpoint', subscribe: ['b'] },
    ),
    accepted({ type: 'endpoint', resources: ['b'] }),
    apply(resource('endpoint', 'a', 2), resource('endpoint', 'x')),
    server.silent(),
  )
}
