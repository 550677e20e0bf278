import { expect, test } from 'vitest'
import { smallResource } from '../test/support/small-view.ts'
import { withCurrentOrigins } from './current-origins.ts'
import type { Unit } from './snapshot/unit.ts'
import { StatusRecorder } from './xds/status.ts'

test('A rejected resource is shown where it stands now, though it was elsewhere when it was rejected', () => {
  const recorder = new StatusRecorder()
  const stream = recorder.open({ streamId: 1, protocol: 'sotw', peer: '' })
  const [moved, gone] = [smallResource('cluster a=1'), smallResource('cluster gone=1')]
  const node = { metadata: {}, userAgentName: '', userAgentVersion: '', clientFeatures: [], staticNames: {} }
  stream.joined({ id: 'a', cluster: '', ...node }, '')
  stream.rejected({
    standing: [moved, gone].map((resource) => ({ resource, accepted: undefined, message: 'no', since: '' })),
  })
  const origin = { name: 'b.yaml', line: 7 }
  const unit: Unit = {
    key: 'b',
    origin: { name: 'b.yaml' },
    selectors: [],
    resources: [{ ...moved, origin }, smallResource('cluster a=2'), smallResource('route a=1')],
  }
  const rejected = withCurrentOrigins(recorder, () => [unit])
    .nodes()
    .flatMap((status) => status.rejected)
  expect(rejected.map(({ name, origin: place }) => [name, place])).toEqual([
    ['a', origin],
    ['gone', { name: 'test.yaml' }],
  ])
})

test('Without a rejection no document is looked at', () => {
  const units = (): never => {
    throw new Error('looked at')
  }
  expect(withCurrentOrigins(new StatusRecorder(), units).nodes()).toEqual([])
})
