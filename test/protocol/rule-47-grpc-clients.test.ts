import { protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

const agents = ['gRPC Go', 'gRPC Java', 'gRPC C-core linux', 'gRPC Node Pure JS', 'gRPC']

for (const agent of agents) {
  const node = { id: 'grpc-1', cluster: 'edge', user_agent_name: agent, user_agent_version: '1.60' }
  transcript(
    `rule 47: an empty list of ${agent} asks for nothing`,
    { protocol: 'sotw', node },
    given(resource('cluster', 'a'), resource('listener', 'l')),
    client({ type: 'listener', names: ['l'] }),
    accepted({ type: 'listener', resources: ['l'] }),
    client({ type: 'cluster', names: [] }),
    server.silent(),
    apply(resource('cluster', 'a', 2)),
    server.silent(),
    client({ type: 'cluster', names: ['a'] }),
    accepted({ type: 'cluster', resources: [resource('cluster', 'a', 2)] }),
    client(ack({ type: 'cluster', names: [] })),
    server.silent(),
    apply(resource('cluster', 'a', 3)),
    server.silent(),
  )
}

for (const protocol of protocols) {
  transcript(
    `rule 47: an empty list of Envoy asks for everything (${protocol})`,
    { protocol, node: { id: 'envoy-1', cluster: 'edge', user_agent_name: 'envoy' } },
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a'] }),
  )
}
