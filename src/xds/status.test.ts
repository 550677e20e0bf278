import { describe, expect, test } from 'vitest'
import { smallResource } from '../../test/support/small-view.ts'
import { createMetrics } from '../metrics.ts'
import type { Node } from '../resource/node.ts'
import { resourceTypes } from '../resource/type-url.ts'
import type { StandingRejection } from './rejection/rejection-book.ts'
import { StatusRecorder, type StreamRecord, type TypeRecord } from './status.ts'

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

const opened = { streamId: 1, protocol: 'sotw', peer: '127.0.0.1:1' } as const

function rejection(text: string, accepted?: string): StandingRejection {
  const before = accepted === undefined ? undefined : smallResource(accepted)
  return { resource: smallResource(text), accepted: before, message: 'no', since: '2026-11-21T07:00:00.000Z' }
}

function connected(): { readonly recorder: StatusRecorder; readonly stream: StreamRecord; readonly type: TypeRecord } {
  const recorder = new StatusRecorder()
  const stream = recorder.open(opened)
  stream.joined(node, 'cluster=edge')
  return { recorder, stream, type: stream.typeOf(typeUrl) }
}

describe('StatusRecorder', () => {
  test('does not show a stream before it has named its node', () => {
    const recorder = new StatusRecorder()
    recorder.open(opened)
    expect(recorder.nodes()).toEqual([])
  })

  test('shows the group that the node is in now', () => {
    const { recorder, stream } = connected()
    expect(recorder.nodes()[0]?.group).toBe('cluster=edge')
    stream.movedTo('every node')
    expect(recorder.nodes()[0]?.group).toBe('every node')
  })

  test('shows the version sent and the version accepted apart', () => {
    const { recorder, type } = connected()
    type.sent('v1', 2, 10)
    type.acked('v1', 3, false)
    type.sent('v2', 2, 10)
    expect(recorder.nodes()[0]?.types['cluster']).toMatchObject({ sent: 'v2', acked: 'v1', responses: 2, resources: 4 })
  })

  test('does not take a part for the whole', () => {
    const { recorder, type } = connected()
    type.sent('v1', 2, 10)
    type.acked('v1', 3, true)
    expect(recorder.nodes()[0]?.types['cluster']?.acked).toBeUndefined()
  })

  test('counts the rejection as over when nothing that was rejected is wanted any more', () => {
    const { recorder, stream, type } = connected()
    const standing = [rejection('cluster bad=2', 'cluster bad=1')]
    stream.rejected({
      get standing() {
        return standing
      },
    })
    type.sent('v1', 2, 10)
    type.acked('v1', 3, false)
    type.sent('v2', 2, 10)
    type.nacked('v2', 'bad cluster')
    type.blamed(undefined)
    expect(recorder.nodes()[0]).toMatchObject({
      types: { cluster: { sent: 'v2', acked: 'v1', nacked: { version: 'v2' } } },
      rejected: [{ type: 'cluster', name: 'bad', message: 'no', origin: { name: 'test.yaml' } }],
    })
    standing.pop()
    const [after] = recorder.nodes()
    expect(after?.rejected).toEqual([])
    expect(after?.types['cluster']).toMatchObject({ sent: 'v1', acked: 'v1' })
    expect(after?.types['cluster']).not.toHaveProperty('nacked')
  })

  test('shows what was rejected where it stands now', () => {
    const recorder = new StatusRecorder(undefined, ({ name }) =>
      name === 'moved' ? { name: 'b.yaml', line: 7 } : undefined,
    )
    const stream = recorder.open(opened)
    stream.joined(node, '')
    stream.rejected({ standing: [rejection('cluster moved=1'), rejection('cluster gone=1')] })
    expect(recorder.nodes()[0]?.rejected.map(({ origin }) => origin)).toEqual([
      { name: 'b.yaml', line: 7 },
      { name: 'test.yaml' },
    ])
  })

  test('counts what nodes rejected in a metric, each node once', async () => {
    const metrics = createMetrics()
    const recorder = new StatusRecorder(metrics)
    for (const [streamId, id] of [
      [1, 'a'],
      [2, 'a'],
      [3, 'b'],
    ] as const) {
      const stream = recorder.open({ ...opened, streamId })
      stream.joined({ ...node, id }, '')
      stream.rejected({ standing: [rejection('cluster bad=2'), rejection('route r=1')] })
    }
    const text = await metrics.registry.metrics()
    expect(text).toContain('fairlead_rejected_resources{type="cluster"} 2\n')
    expect(text).toContain('fairlead_rejected_resources{type="route"} 2\n')
  })

  test('keeps the last rejection with its message until something is accepted', () => {
    const { recorder, type } = connected()
    type.sent('v1', 2, 10)
    type.nacked('v1', 'bad cluster')
    expect(recorder.nodes()[0]?.types['cluster']?.nacked).toMatchObject({ version: 'v1', message: 'bad cluster' })
    type.acked('v2', 3, false)
    expect(recorder.nodes()[0]?.types['cluster']?.nacked).toBeUndefined()
  })

  test('forgets a stream that closed', () => {
    const { recorder, stream } = connected()
    stream.closed()
    expect(recorder.nodes()).toEqual([])
  })

  test('counts streams, responses, acceptances and rejections, and times the acceptances', async () => {
    const metrics = createMetrics()
    const stream = new StatusRecorder(metrics).open({ ...opened, protocol: 'delta' })
    const type = stream.typeOf(typeUrl)
    type.sent('v1', 2, 10)
    type.nacked('v1', 'bad')
    for (const ms of [3, 4, 90_000]) type.acked('v2', ms, false)
    const text = await metrics.registry.metrics()
    expect(text).toContain('fairlead_streams{protocol="delta"} 1')
    expect(text).toContain('fairlead_responses_total{type="cluster",protocol="delta"} 1')
    expect(text).toContain('fairlead_nacks_total{type="cluster"} 1')
    expect(text).toContain('# TYPE fairlead_ack_seconds histogram')
    expect(text).toContain('fairlead_ack_seconds_bucket{le="0.001",type="cluster"} 0')
    expect(text).toContain('fairlead_ack_seconds_bucket{le="0.005",type="cluster"} 2')
    expect(text).toContain('fairlead_ack_seconds_bucket{le="60",type="cluster"} 2')
    expect(text).toContain('fairlead_ack_seconds_bucket{le="+Inf",type="cluster"} 3')
    expect(text).toContain('fairlead_ack_seconds_sum{type="cluster"} 90.007')
    expect(text).toContain('fairlead_ack_seconds_count{type="cluster"} 3')
  })
})

test('Types that nobody knows are counted together: clients can make up any number of them', async () => {
  const metrics = createMetrics()
  const stream = new StatusRecorder(metrics).open(opened)
  for (const unknown of ['foo.Bar', 'foo.Baz']) stream.typeOf(unknown).sent('1', 0, 10)
  const text = await metrics.registry.metrics()
  expect(text).toContain('fairlead_responses_total{type="other",protocol="sotw"} 2')
  expect(text).not.toContain('foo.')
})
