import { expect, test } from 'vitest'
import { asks, isLong, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, playTranscript, type Step, server, step } from '../support/transcript.ts'

const rounds = isLong ? 10_000 : 300

/** One change of both types, pushed and accepted. */
const push: Step = step(`${rounds} pushes of each of two types`, async (world) => {
  const side = world.client('client')
  for (let round = 2; round < rounds + 2; round++) {
    await apply(resource('cluster', 'a', round), resource('endpoint', 'a', round)).play(world)
    for (let count = 0; count < 2; count++) {
      await side.take()
      side.say(ack())
    }
  }
})

for (const protocol of protocols) {
  test(`rule 11: nonces are never empty and never come twice on a stream (${protocol})`, { timeout: 300_000 }, () =>
    playTranscript(
      protocol,
      given(resource('cluster', 'a'), resource('endpoint', 'a')),
      client(asks('cluster', 'a')),
      accepted({ type: 'cluster', resources: ['a'] }),
      client(asks('endpoint', 'a')),
      accepted({ type: 'endpoint', resources: ['a'] }),
      push,
      server.silent(),
      step('every nonce is there once', (world) => {
        const nonces = world
          .client('client')
          .all()
          .map(({ nonce }) => nonce)
        expect(nonces).toHaveLength(2 * rounds + 2)
        expect(nonces).not.toContain('')
        expect(new Set(nonces).size).toBe(nonces.length)
      }),
    ),
  )
}
