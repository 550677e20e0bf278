import { describe, expect, test } from 'vitest'
import { smallResource, smallView } from '../../../test/support/small-view.ts'
import { setIn, type View } from '../transition/view.ts'
import { AddressRetries, firstRetryMs, isAddressTaken, maxRetries } from './address-retries.ts'

const m = smallResource('listener m=1@80')
const listenersOf = (view: View) => setIn(view, m.typeUrl)

/** `m` was rejected at 0, in a response that held `sent`. */
function rejected(sent: View): AddressRetries {
  const retries = new AddressRetries()
  retries.note(m, listenersOf(sent), listenersOf(sent), 0)
  return retries
}

/** With `m`, and without. */
const both = (...others: readonly string[]): readonly [View, View] => [
  smallView('listener m=1@80', ...others),
  smallView(...others),
]

const due = (retries: AddressRetries, [snapshot, target]: readonly [View, View], nowMs: number, of = m) => {
  const { resources, nextMs } = retries.due([{ resource: of }], snapshot, target, nowMs)
  return { names: resources.map(({ name }) => name), nextMs }
}

const never = { names: [], nextMs: Number.POSITIVE_INFINITY }

describe('a listener that was rejected for its address', () => {
  const taken = both('listener l=1@80')

  test('is not tried again while another one is to be there, and is not waited for', () => {
    const retries = rejected(taken[0])
    for (const nowMs of [0, firstRetryMs, 100 * firstRetryMs]) {
      expect(due(retries, taken, nowMs).names).toEqual([])
    }
    expect(due(retries, taken, firstRetryMs)).toEqual(never)
  })

  test.each<[string, readonly [View, View]]>([
    ['is at another one', both('listener l=2@81')],
    ['is gone', both('listener k=1@90')],
  ])('is tried again at once when the other one %s', (_, now) => {
    expect(due(rejected(taken[0]), now, 0).names).toEqual(['m'])
  })

  test('is not tried again when another one of the others changes', () => {
    expect(due(rejected(taken[0]), both('listener l=1@80', 'listener k=1@90'), 0)).toEqual(never)
  })

  test('is not tried again when the other one has to stay where it is, for its new form is rejected', () => {
    const [snapshot] = both('listener l=2@81')
    expect(due(rejected(taken[0]), [snapshot, taken[1]], 0)).toEqual(never)
  })

  test('is not tried in another form, nor when it is not wanted any more', () => {
    const free = both('listener l=2@81')
    expect(due(rejected(taken[0]), free, 0, smallResource('listener m=2@80'))).toEqual(never)
    expect(due(rejected(taken[0]), [free[1], free[1]], 0)).toEqual(never)
  })

  test('is tried again a few times, later and later, when nothing that is known is there', () => {
    const free = both('listener l=2@81')
    const retries = new AddressRetries()
    const tries: number[] = []
    for (let nowMs = 0; nowMs <= 10 * 3_600_000; nowMs += 1000) {
      if (nowMs > 0 && due(retries, free, nowMs).names.length === 0) continue
      tries.push(nowMs / 1000)
      retries.note(m, listenersOf(free[0]), listenersOf(free[0]), nowMs)
    }
    expect(tries).toEqual([0, 10, 30, 70, 150, 310, 630])
    expect(tries).toHaveLength(maxRetries + 1)
  })

  test('is tried again after that when the others change, at most once in ten seconds, or the client comes back', () => {
    const [before, after] = [both('listener k=1@90'), both('listener k=2@90')]
    const exhausted = (): AddressRetries => {
      const retries = new AddressRetries()
      for (let time = 0; time <= maxRetries; time++) retries.note(m, listenersOf(before[0]), listenersOf(before[0]), 0)
      expect(due(retries, before, 3_600_000)).toEqual(never)
      return retries
    }
    expect(due(exhausted(), after, 9_999)).toEqual({ names: [], nextMs: 10_000 })
    expect(due(exhausted(), after, 10_000).names).toEqual(['m'])
    const back = exhausted()
    back.noteStream()
    expect(due(back, before, 9_999)).toEqual({ names: [], nextMs: 10_000 })
    expect(due(back, before, 10_000).names).toEqual(['m'])
  })

  test('is told by what Envoy says of it', () => {
    const message = "error adding listener: 'm' has duplicate address '127.0.0.1:80' as existing listener, to check"
    expect(isAddressTaken(m, message)).toBe(true)
    expect(isAddressTaken(m, 'no such thing')).toBe(false)
    expect(isAddressTaken(smallResource('cluster m'), message)).toBe(false)
  })
})
