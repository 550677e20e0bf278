import { expect } from 'vitest'
import { statusOf, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  nack,
  type Step,
  server,
  step,
  transcript,
} from '../support/transcript.ts'

const ttlMs = 2_000
const brief = resource('runtime', 'brief', 1, { ttlMs })
const next = resource('runtime', 'brief', 2, { ttlMs })
const lasting = resource('runtime', 'lasting')

/** Of the one with a TTL alone, and at the version that the client has. */
const heartbeat = (version: string): Step =>
  server({
    type: 'runtime',
    resources: [{ name: 'brief', body: false }],
    where: ({ resources }) => {
      expect(resources[0]).toMatchObject({ version, ttlMs, aliases: [] })
    },
  })

const settled: readonly Step[] = [
  client({ type: 'runtime', subscribe: ['brief', 'lasting'] }),
  ...accepted({ type: 'runtime', resources: [brief, lasting] }),
]

transcript(
  'rule 82: about twice in its TTL, what a client has is told without a body, at its version',
  'delta',
  given(brief, lasting),
  settled,
  heartbeat(brief.version),
  client(ack()),
  heartbeat(brief.version),
  client(ack()),
  server.silent(),
)

transcript(
  'rule 82: a heartbeat after a new version tells the new one',
  'delta',
  given(brief, lasting),
  settled,
  heartbeat(brief.version),
  client(ack()),
  apply(next),
  accepted({ type: 'runtime', resources: [next] }),
  heartbeat(next.version),
  client(ack()),
)

transcript(
  'rule 82: a heartbeat is no update: its ACK counts as no verdict, and no push waits for it',
  'delta',
  given(brief, lasting),
  settled,
  heartbeat(brief.version),
  apply(next),
  accepted({ type: 'runtime', resources: [next] }),
  server.silent(),
  verdicts('ack runtime', 'ack runtime'),
  statusOf('runtime', ({ responses, resources }) =>
    expect({ responses, resources }).toEqual({ responses: 2, resources: 3 }),
  ),
)

transcript(
  'rule 82: nothing is told of a version that the client has not accepted, nor of the one it had before',
  'delta',
  given(brief, lasting),
  settled,
  apply(next),
  server({ type: 'runtime', resources: [next] }),
  step('a TTL passes', () => new Promise((resolve) => setTimeout(resolve, ttlMs))),
  server.silent(),
  client(ack()),
  heartbeat(next.version),
)

transcript(
  'rule 82: a client that cannot take a heartbeat, for it has expired there, gets the whole again',
  'delta',
  given(brief, lasting),
  settled,
  heartbeat(brief.version),
  client(nack('type URL  embedded in an individual Any does not match the message-wide type URL')),
  server.warns(/client rejected a heartbeat/),
  accepted({ type: 'runtime', resources: [brief] }),
  server.silent(),
  verdicts('ack runtime', 'ack runtime'),
)

transcript(
  'rule 82: a client that comes back with what it had hears of it at once, for its time has run meanwhile',
  'delta',
  given(brief, lasting),
  client({
    type: 'runtime',
    subscribe: ['brief', 'lasting'],
    initialVersions: { brief: brief.version, lasting: lasting.version },
  }),
  heartbeat(brief.version),
  client(ack()),
  server.silent(),
)

transcript(
  'rule 82: what was unsubscribed is not told of any more',
  'delta',
  given(brief, lasting),
  settled,
  heartbeat(brief.version),
  client(ack({ unsubscribe: ['brief'] })),
  step('a TTL passes', () => new Promise((resolve) => setTimeout(resolve, ttlMs))),
  server.silent(),
)
