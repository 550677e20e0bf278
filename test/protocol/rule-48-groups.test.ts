import { protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { ack, apply, forNodes, given, stream, transcript } from '../support/transcript.ts'

const edge = { cluster: 'edge' }
const cart = { cluster: 'cart' }
const first = stream('edge-1', { id: 'edge-1', ...edge })
const second = stream('cart-1', { id: 'cart-1', ...cart })
const nobody = stream('other-1', { id: 'other-1', cluster: 'other' })

for (const protocol of protocols) {
  for (const type of ['cluster', 'listener'] as const) {
    transcript(
      `rule 48: a wildcard of ${type}s is all that the node's group has, and no more (${protocol})`,
      protocol,
      given(
        forNodes(edge, resource(type, 'a'), resource(type, 'b')),
        forNodes(cart, resource(type, 'c')),
        resource(type, 'everybodys'),
      ),
      first.client({ type }),
      first.server({ type, resources: ['a', 'b', 'everybodys'] }),
      first.client(ack()),
      second.client({ type }),
      second.server({ type, resources: ['c', 'everybodys'] }),
      second.client(ack()),
      nobody.client({ type }),
      nobody.server({ type, resources: ['everybodys'] }),
      nobody.client(ack()),
      apply(forNodes(cart, resource(type, 'c', 2))),
      second.server({ type, resources: ['c'], orAlso: protocol === 'sotw' ? ['everybodys'] : [] }),
      second.client(ack()),
      first.server.silent(),
      nobody.server.silent(),
    )

    transcript(
      `rule 48: a ${type} of another group does not exist, also by its name (${protocol})`,
      protocol,
      given(forNodes(edge, resource(type, 'a')), forNodes(cart, resource(type, 'c'))),
      first.client(protocol === 'sotw' ? { type, names: ['a', 'c'] } : { type, subscribe: ['a', 'c'] }),
      first.server({ type, resources: ['a'], ...(protocol === 'delta' && { removed: ['c'] }) }),
      first.client(ack()),
      first.server.silent(),
    )
  }
}
