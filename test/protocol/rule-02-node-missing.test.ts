import { protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, client, given, server, stream, transcript } from '../support/transcript.ts'

const a = resource('cluster', 'a')
const first = { type: 'cluster' }

for (const protocol of protocols) {
  transcript(
    `rule 2: a stream whose first message lacks a node ends with INVALID_ARGUMENT and no data (${protocol})`,
    protocol,
    given(a),
    client({ ...first, node: null }),
    server.ends('INVALID_ARGUMENT', /node/),
  )

  transcript(
    `rule 2: an empty node.id is no node (${protocol})`,
    protocol,
    given(a),
    client({ ...first, node: { id: '', cluster: 'edge' } }),
    server.ends('INVALID_ARGUMENT', /node\.id/),
  )

  transcript(
    `rule 2: a type's own service refuses a first message without a node too (${protocol})`,
    { protocol, service: 'cluster' },
    given(a),
    client({ node: null }),
    server.ends('INVALID_ARGUMENT', /node/),
  )

  const other = stream('other')
  transcript(
    `rule 2: the stream that is refused takes no other with it (${protocol})`,
    protocol,
    given(a),
    other.client(first),
    other.server({ type: 'cluster', resources: ['a'] }),
    client({ ...first, node: null }),
    server.ends('INVALID_ARGUMENT'),
    other.server.silent(),
    client(first),
    accepted({ type: 'cluster', resources: ['a'] }),
  )
}
