import { buildUnreadyResource } from '../../src/resource/resource.ts'
import { asks, protocols, requestsTaken } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, removed, server, transcript, withheld } from '../support/transcript.ts'

const type = 'secret'
const secret = resource(type, 's', 1)
const known = resource(type, 'known', 1)
/** It exists, and its content is not at hand: its source was not read since a restart. */
const unready = buildUnreadyResource({ ...secret, isSensitive: true })
const [gone, stays] = [removed(type, 's'), given(secret, known)]

for (const protocol of protocols) {
  transcript(
    `rule 53: a secret whose source is down is not taken away, and one that was deleted is (${protocol})`,
    protocol,
    stays,
    client(asks(type, 's', 'known')),
    accepted({ type, resources: ['s', 'known'] }),
    apply(unready),
    server.silent(),
    apply(resource(type, 's', 2)),
    accepted({ type, resources: [resource(type, 's', 2)] }),
    apply(gone),
    // In SotW the absence of a secret says nothing (rule 23).
    protocol === 'delta' ? accepted({ type, removed: ['s'] }) : [],
    server.silent(),
  )

  transcript(
    `rule 53: a secret that is not ready is neither sent nor said to be missing, and sent when it is ready (${protocol})`,
    protocol,
    given(unready, known),
    client(asks(type, 's', 'known')),
    accepted({ type, resources: ['known'] }),
    server.silent(),
    apply(secret),
    accepted({ type, resources: [secret] }),
    server.silent(),
  )

  transcript(
    `rule 53: of nodes whose configuration cannot be read nothing is taken away (${protocol})`,
    protocol,
    stays,
    client(asks(type, 's')),
    accepted({ type, resources: ['s'] }),
    apply(withheld({ cluster: 'edge' }), gone),
    server.silent(),
    apply(withheld(), secret),
    server.silent(),
  )

  transcript(
    `rule 53: a node whose configuration cannot be read is not told that its names are missing (${protocol})`,
    protocol,
    given(secret, withheld({ cluster: 'edge' })),
    client(asks(type, 's', 'x')),
    requestsTaken(1),
    apply(withheld()),
    accepted({ type, resources: ['s'], ...(protocol === 'delta' && { removed: ['x'] }) }),
    server.silent(),
  )
}
