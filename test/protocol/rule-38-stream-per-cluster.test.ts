import { expect, test } from 'vitest'
import { isLong, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { apply, given, playTranscript, step } from '../support/transcript.ts'
import { openStream, typeUrlOf, type WireStream } from '../support/wire-client.ts'

const count = isLong ? 1000 : 100
const names = Array.from({ length: count }, (_, index) => `cluster-${index}`)
const node = { id: 'envoy-1', cluster: 'edge' }

for (const protocol of protocols) {
  test(
    `rule 38: of ${count} EDS streams, one for each cluster, a change concerns one (${protocol})`,
    { timeout: 60_000 },
    () =>
      playTranscript(
        protocol,
        given(...names.map((name) => resource('endpoint', name))),
        step('each is answered its own name, and one of them the change', async (world) => {
          const open = async (name: string): Promise<WireStream> => {
            const stream = openStream({ port: world.server.port, protocol, service: 'endpoint' })
            const asked = protocol === 'sotw' ? { resource_names: [name] } : { resource_names_subscribe: [name] }
            stream.send({ node, ...asked })
            const { resources, nonce, version } = await stream.next()
            expect(resources.map((one) => one.name)).toEqual([name])
            stream.send({ response_nonce: nonce, ...(protocol === 'sotw' && { ...asked, version_info: version }) })
            return stream
          }
          const streams: WireStream[] = []
          for (let from = 0; from < count; from += 50) {
            streams.push(...(await Promise.all(names.slice(from, from + 50).map(open))))
          }
          const changed = resource('endpoint', 'cluster-7', 2)
          await apply(changed).play(world)
          const told = await streams[7]?.next()
          expect(told?.resources.map(({ name }) => name)).toEqual(['cluster-7'])
          expect(told?.typeUrl).toBe(typeUrlOf('endpoint'))
          await Promise.all(
            streams.map(async (stream) => {
              stream.end()
              await stream.closed
              expect(stream.pending()).toEqual([])
            }),
          )
        }),
      ),
  )
}
