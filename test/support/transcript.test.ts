import { describe, expect, test } from 'vitest'
import { edsCluster, resource, routeTo } from './resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  forNodes,
  given,
  nack,
  playTranscript,
  removed,
  type Step,
  server,
  step,
  stream,
  transcript,
  withheld,
} from './transcript.ts'

const a = resource('cluster', 'a')
const b = resource('cluster', 'b')

describe('a transcript', () => {
  transcript(
    'plays a SotW conversation: subscribe, ACK, push, removal',
    'sotw',
    given(a, b),
    client({ type: 'cluster', names: [] }),
    server({ type: 'cluster', resources: [a, b] }),
    client(ack()),
    server.silent(),
    apply(resource('cluster', 'a', 2)),
    accepted({ type: 'cluster', resources: [resource('cluster', 'a', 2), b], version: 'new' }),
    apply(removed('cluster', 'b')),
    accepted({ type: 'cluster', resources: ['a'] }),
    client.leaves(),
  )

  transcript(
    'plays a delta conversation: subscribe, NACK, fix, and a reconnect with what is held',
    'delta',
    given(a, b),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a', 'b'] }),
    apply(resource('cluster', 'a', 2)),
    server({ type: 'cluster', resources: ['a'] }),
    client(nack('a is bad')),
    server.silent(),
    apply(resource('cluster', 'a', 3)),
    accepted({ type: 'cluster', resources: [resource('cluster', 'a', 3)] }),
    client.resets(),
    client((memory) => ({ type: 'cluster', initialVersions: memory.versions('cluster') })),
    server({ type: 'cluster' }),
  )

  const second = stream('second', { id: 'envoy-2', cluster: 'cart' })
  transcript(
    'plays two clients with configurations of their own',
    'sotw',
    given(forNodes({ cluster: 'edge' }, a), forNodes({ cluster: 'cart' }, b)),
    client({ type: 'cluster', names: [] }),
    server({ type: 'cluster', resources: ['a'] }),
    second.client({ type: 'cluster', names: [] }),
    second.server({ type: 'cluster', resources: ['b'] }),
  )

  transcript(
    'plays the stream of a single type, and its end',
    { protocol: 'sotw', service: 'route' },
    given(routeTo('r', 'a'), edsCluster('a')),
    client({ names: ['r'] }),
    server({ type: 'route', resources: [routeTo('r', 'a')] }),
    server.silentToTheEnd(),
    client({ type: 'cluster', names: [] }),
    server.ends('INVALID_ARGUMENT', /type_url/),
  )

  transcript(
    'plays a client that is not answered',
    'delta',
    given(withheld({ cluster: 'edge' }), a),
    client({ type: 'cluster' }),
    server.silentToTheEnd(),
    apply(withheld()),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    step('the server saw both streams', ({ events }) => {
      expect(events.filter(({ kind }) => kind === 'open')).toHaveLength(2)
    }),
  )

  const asks: readonly Step[] = [given(a), client({ type: 'cluster', names: [] })]
  const answered: readonly Step[] = [...asks, server({ type: 'cluster', resources: ['a'] }), client(ack())]
  test.each<[string, readonly (Step | readonly Step[])[], RegExp]>([
    [
      'another name than came',
      [...asks, server({ type: 'cluster', resources: ['b'] })],
      /cluster \[a\][\s\S]*cluster \[b\]/,
    ],
    ['fewer names than came', [...asks, server({ type: 'cluster' })], /cluster \[a\]/],
    [
      'other content than came',
      [...asks, server({ type: 'cluster', resources: [resource('cluster', 'a', 9)] })],
      /bytes of a/,
    ],
    [
      'a version that is not the same',
      [...answered, apply(b), server({ type: 'cluster', resources: ['a', 'b'], version: 'same' })],
      /NOT.*cluster \[a b\]/,
    ],
    ['silence where there is an answer', [...asks, server.silent()], /the server said more/],
    ['silence where there is a push', [...answered, apply(b), server.silent()], /the server said more/],
    ['silence to the end where there is an answer', [...asks, server.silentToTheEnd()], /the server said more/],
    ['nothing where there is a push', [...answered, apply(b)], /NOT {3}nothing more/],
    ['an end where there is an answer', [...asks, server.ends('INVALID_ARGUMENT')], /NOT.*INVALID_ARGUMENT/],
    ['another status', [given(), client({ type: 'cluster', node: null }), server.ends('INTERNAL')], /node is missing/],
  ])('fails when it says %s', async (_, steps, message) => {
    await expect(playTranscript('sotw', ...steps)).rejects.toThrow(message)
  })

  test('that fails shows how far it went, and what the server warned of', async () => {
    const steps = [given(), client({ type: 'cluster', node: null }), server({ type: 'cluster' })]
    await expect(playTranscript('delta', ...steps)).rejects.toThrow(
      /^ {2}ok {2}given nothing\n {2}ok {2}client → .*\nNOT {3}client ← cluster \[\]\n\n.*INVALID_ARGUMENT[\s\S]*the server's warnings:\n.*stream refused/,
    )
  })
})
