import { describe, expect, test } from 'vitest'
import { showView, smallResource, smallView } from '../../../test/support/small-view.ts'
import { RejectionRecord } from './rejection-book.ts'
import { StreamRejections } from './stream-rejections.ts'

/** The client rejected `cluster x=2`, when it had nothing of that name, and has accepted `cluster x=1` since. */
function rejectingTwo(): StreamRejections {
  const record = new RejectionRecord()
  const rejections = new StreamRejections(record, 'client', smallView('cluster x=2'))
  const since = new Date(0).toISOString()
  record.add({ resource: smallResource('cluster x=2'), accepted: undefined, message: 'no', since }, () => true)
  expect(showView(rejections.target(smallView(), 0) ?? smallView())).toEqual([])
  rejections.follow(smallView('cluster x=1'), 1)
  rejections.target(smallView(), 1)
  return rejections
}

describe('when the snapshot goes back to what was rejected', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['the client keeps what it was given in between', ['cluster x=1'], ['cluster x=1']],
    ['a client that has nothing of it any more is given nothing', [], []],
  ])('%s', (_, has, shown) => {
    const rejections = rejectingTwo()
    // It is gone, but something that drains may use it still.
    rejections.follow(smallView('cluster y=1'), 2)
    rejections.target(smallView('cluster x=1'), 2)
    const back = smallView('cluster x=2')
    rejections.follow(back, 3)
    expect(showView(rejections.target(smallView(...has), 3) ?? back)).toEqual(shown)
  })

  test('and away and back again before the client could be told, it has what it had', () => {
    const rejections = rejectingTwo()
    rejections.follow(smallView('cluster x=2'), 2)
    rejections.target(smallView('cluster x=1'), 2)
    rejections.follow(smallView('cluster x=3'), 3)
    const back = smallView('cluster x=2')
    rejections.follow(back, 3)
    expect(showView(rejections.target(smallView('cluster x=1'), 3) ?? back)).toEqual(['cluster x=1'])
  })
})
