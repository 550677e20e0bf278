import { describe, expect, test } from 'vitest'
import { createMetrics } from '../metrics.ts'
import type { Node } from '../resource/node.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { StatusRecorder } from './status.ts'

const { typeUrl } = resourceTypes.cluster
const node: Node = {
  id: 'edge-1',
  cluster: 'edge',
  metadata: {},
  userAgentName: 'envoy',
  userAgentVersion: '1.40.0',
  clientFeatures: [],
  staticNames: {},
}

function connected(): StatusRecorder {
  const recorder = new StatusRecorder()
  recorder.record({ kind: 'open', streamId: 1, protocol: 'sotw', method: '/ads', peer: '127.0.0.1:1' })
  recorder.record({ kind: 'node', streamId: 1, node, group: 'cluster=edge' })
  return recorder
}

const sent = (version: string, nonce: string) =>
  ({
    kind: 'sent',
    streamId: 1,
    typeUrl,
    version,
    nonce,
    resources: 2,
    removed: 0,
    bytes: 10,
    isAnswer: false,
  }) as const

describe('StatusRecorder', () => {
  test('does not show a stream before it has named its node', () => {
    const recorder = new StatusRecorder()
    recorder.record({ kind: 'open', streamId: 1, protocol: 'sotw', method: '/ads', peer: '127.0.0.1:1' })
    expect(recorder.nodes()).toEqual([])
  })

  test('shows the group that the node is in now', () => {
    const recorder = connected()
    expect(recorder.nodes()[0]?.group).toBe('cluster=edge')
    recorder.record({ kind: 'group', streamId: 1, group: 'every node' })
    expect(recorder.nodes()[0]?.group).toBe('every node')
  })

  test('shows the version sent and the version accepted apart', () => {
    const recorder = connected()
    recorder.record(sent('v1', '1'))
    recorder.record({ kind: 'ack', streamId: 1, typeUrl, version: 'v1', nonce: '1', ms: 3 })
    recorder.record(sent('v2', '2'))
    expect(recorder.nodes()[0]?.types['cluster']).toMatchObject({ sent: 'v2', acked: 'v1', responses: 2 })
  })

  test('keeps the last rejection with its message until something is accepted', () => {
    const recorder = connected()
    recorder.record(sent('v1', '1'))
    recorder.record({ kind: 'nack', streamId: 1, typeUrl, version: 'v1', nonce: '1', message: 'bad cluster', ms: 3 })
    expect(recorder.nodes()[0]?.types['cluster']?.nacked).toMatchObject({ version: 'v1', message: 'bad cluster' })
    recorder.record({ kind: 'ack', streamId: 1, typeUrl, version: 'v2', nonce: '2', ms: 3 })
    expect(recorder.nodes()[0]?.types['cluster']?.nacked).toBeUndefined()
  })

  test('forgets a stream that closed', () => {
    const recorder = connected()
    recorder.record({ kind: 'close', streamId: 1, reason: 'client closed' })
    expect(recorder.nodes()).toEqual([])
  })

  test('counts streams, responses, acceptances and rejections', async () => {
    const metrics = createMetrics()
    const recorder = new StatusRecorder(metrics)
    recorder.record({ kind: 'open', streamId: 1, protocol: 'delta', method: '/ads', peer: '127.0.0.1:1' })
    recorder.record(sent('v1', '1'))
    recorder.record({ kind: 'nack', streamId: 1, typeUrl, version: 'v1', nonce: '1', message: 'bad', ms: 1 })
    const text = await metrics.registry.metrics()
    expect(text).toContain('fairlead_streams{protocol="delta"} 1')
    expect(text).toContain('fairlead_responses_total{type="cluster",protocol="delta"} 1')
    expect(text).toContain('fairlead_nacks_total{type="cluster"} 1')
  })
})
