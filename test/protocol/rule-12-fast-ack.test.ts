import { expect } from 'vitest'
import { protocols } from '../support/conversation.ts'
import { eventually } from '../support/poll.ts'
import { resource } from '../support/resource.ts'
import { ack, apply, client, given, server, step, transcript } from '../support/transcript.ts'

const rounds = 200

// A client within the server's own write stands in src/xds/stream.test.ts: on a wire there is none.
for (const protocol of protocols) {
  transcript(
    `rule 12: every ACK is known for what it is, however fast it comes (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client(ack()),
    step(`${rounds} pushes, each accepted in the turn that it came`, async (world) => {
      const side = world.client('client')
      for (let round = 2; round < rounds + 2; round++) {
        await apply(resource('cluster', 'a', round)).play(world)
        await side.take()
        side.say(ack())
      }
      const nonces = (kind: 'sent' | 'ack'): string[] =>
        world.events.flatMap((event) => (event.kind === kind ? [event.nonce] : []))
      await eventually(() => nonces('ack').length > rounds)
      expect(nonces('ack')).toEqual(nonces('sent'))
    }),
  )
}
