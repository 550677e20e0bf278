import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, client, forNodes, given, server, transcript } from '../support/transcript.ts'

const words = ['cluster', 'endpoint', 'listener', 'route'] as const
const ofEdge = words.map((word) => resource(word, 'a', 1))
const ofCart = words.map((word) => resource(word, 'a', 2))

for (const protocol of protocols) {
  transcript(
    `rule 1: the node of the first message counts for every type of the stream (${protocol})`,
    protocol,
    given(forNodes({ cluster: 'edge' }, ...ofEdge), forNodes({ cluster: 'cart' }, ...ofCart)),
    ...words.flatMap((type, index) => [
      client((_memory, spoken) => ({
        ...asks(type, 'a')(_memory, spoken),
        node: index === 0 ? { id: 'cart-1', cluster: 'cart' } : null,
      })),
      ...accepted({ type, resources: [ofCart[index] ?? ''] }),
    ]),
    server.silent(),
  )
}
