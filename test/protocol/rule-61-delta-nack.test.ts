import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, nack, removed, server, transcript } from '../support/transcript.ts'

const type = 'cluster'

transcript(
  'rule 61: after a rejection nothing is sent until something changes, and then the change is',
  'delta',
  given(resource(type, 'good'), resource(type, 'bad')),
  client({ type }),
  server({ type, resources: ['good', 'bad'] }),
  client(nack('Error adding/updating cluster(s) bad: no')),
  server.silent(),
  apply(resource('listener', 'l')),
  server.silent(),
  apply(resource(type, 'bad', 2)),
  // The good one is in an unknown state, as the bad one was: it may be sent again.
  accepted({ type, resources: [resource(type, 'bad', 2)], orAlso: ['good'] }),
  server.silent(),
)

transcript(
  'rule 61: a good resource of the rejected response is sent when it changes',
  'delta',
  given(resource(type, 'good'), resource(type, 'bad')),
  client({ type }),
  server({ type, resources: ['good', 'bad'] }),
  client(nack('Error adding/updating cluster(s) bad: no')),
  server.silent(),
  apply(resource(type, 'good', 2)),
  accepted({ type, resources: [resource(type, 'good', 2)], orAlso: ['bad'] }),
)

transcript(
  'rule 61: what was not in the rejected response is not sent again',
  'delta',
  given(resource(type, 'settled'), resource(type, 'bad')),
  client({ type }),
  accepted({ type, resources: ['settled', 'bad'] }),
  apply(resource(type, 'bad', 2)),
  server({ type, resources: ['bad'] }),
  client(nack('bad is bad')),
  server.silent(),
  apply(resource(type, 'bad', 3)),
  accepted({ type, resources: [resource(type, 'bad', 3)] }),
)

transcript(
  'rule 61: a rejected resource that is deleted is said to be removed, for it may have been applied',
  'delta',
  given(resource(type, 'settled')),
  client({ type }),
  accepted({ type, resources: ['settled'] }),
  apply(resource(type, 'bad')),
  server({ type, resources: ['bad'] }),
  client(nack('bad is bad')),
  server.silent(),
  apply(removed(type, 'bad')),
  accepted({ type, removed: ['bad'] }),
  server.silent(),
)
