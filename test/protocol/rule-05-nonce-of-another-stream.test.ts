import { expect } from 'vitest'
import { asks, protocols, statusOf, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, client, given, server, transcript } from '../support/transcript.ts'

const both = given(resource('cluster', 'a'), resource('endpoint', 'a'))

for (const protocol of protocols) {
  transcript(
    `rule 5: a first request with a nonce that nobody sent is answered as the first that it is (${protocol})`,
    protocol,
    both,
    client({ type: 'cluster', nonce: '17', ...(protocol === 'sotw' && { version: '9' }) }),
    server({ type: 'cluster', resources: ['a'] }),
    verdicts(),
    client(ack()),
    server.silent(),
    verdicts('ack cluster'),
  )

  transcript(
    `rule 5: a nonce of the last stream accepts nothing on the next (${protocol})`,
    protocol,
    both,
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a'] }),
    client(asks('endpoint', 'a')),
    accepted({ type: 'endpoint', resources: ['a'] }),
    server.silent(),
    verdicts('ack cluster', 'ack endpoint'),
    client.resets(),
    client((memory) => ({ type: 'cluster', nonce: memory.last('cluster').nonce })),
    server({ type: 'cluster', resources: ['a'] }),
    client((memory, spoken) => ({ ...asks('endpoint', 'a')(memory, spoken), nonce: memory.last('endpoint').nonce })),
    server({ type: 'endpoint', resources: ['a'] }),
    server.silent(),
    verdicts('ack cluster', 'ack endpoint'),
    statusOf('endpoint', (status) => expect(status.acked).toBeUndefined()),
  )
}

transcript(
  'rule 5: a first request may tell the version and the nonce of an earlier stream and is answered in full',
  'sotw',
  both,
  client(asks('endpoint', 'a')),
  accepted({ type: 'endpoint', resources: ['a'] }),
  client.resets(),
  client((memory) => ({ type: 'endpoint', names: ['a'], version: memory.last().version, nonce: memory.last().nonce })),
  accepted({ type: 'endpoint', resources: ['a'], version: 'same' }),
)
