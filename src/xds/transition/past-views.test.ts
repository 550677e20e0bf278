import { beforeEach, expect, test } from 'vitest'
import { buildResource, type Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { setOfResources } from '../../snapshot/resource-set.ts'
import { buildSnapshot } from '../../snapshot/snapshot.ts'
import { PastViews } from './past-views.ts'
import { setIn, type View } from './view.ts'

const { typeUrl } = resourceTypes.cluster

function cluster(name: string, content: number): Resource {
  return buildResource({ typeUrl, name, bytes: Uint8Array.of(content), origin: { name: 'a.yaml' } })
}

const viewOf = (content: number): View => buildSnapshot([setOfResources(typeUrl, [cluster('a', content)])])
const views = Array.from({ length: 20 }, (_, content) => viewOf(content))
const [first, second, third] = views as [View, View, View]
const version = (view: View): string => setIn(view, typeUrl).version
const sotw = (view: View) => ({ typeUrl, versionInfo: version(view) })
const delta = (view: View) => ({
  typeUrl,
  initialVersions: new Map([['a', setIn(view, typeUrl).get('a')?.version ?? '']]),
})

let nowMs = 0
const clock = { now: () => nowMs }
beforeEach(() => void (nowMs = 0))

test('A client is found where its group was, in either protocol, as one that accepted all of it', () => {
  const past = new PastViews(clock)
  past.note('g', first)
  past.note('g', second)
  const found = past.recall('g', 'sotw', sotw(first), third)
  expect(found?.view).toBe(first)
  expect(found?.clusters).toBe(setIn(first, typeUrl))
  expect(found?.accepted.get(typeUrl)).toBe(version(first))
  expect(past.recall('g', 'delta', delta(second), third)?.view).toBe(second)
})

test('It is not, where it is at what is now, at nothing, at something unknown, or of another group', () => {
  const past = new PastViews(clock)
  past.note('g', first)
  expect(past.recall('g', 'sotw', sotw(second), second)).toBeUndefined()
  expect(past.recall('g', 'sotw', { typeUrl, versionInfo: '' }, second)).toBeUndefined()
  expect(past.recall('g', 'delta', { typeUrl, initialVersions: new Map() }, second)).toBeUndefined()
  expect(past.recall('g', 'sotw', sotw(third), second)).toBeUndefined()
  expect(past.recall('h', 'sotw', sotw(first), second)).toBeUndefined()
  // There and back: what it has is what is.
  past.note('g', second)
  expect(past.recall('g', 'sotw', sotw(first), first)).toBeUndefined()
})

test('Only the last few are kept, and not for long', () => {
  const past = new PastViews(clock)
  for (const view of views.slice(0, 19)) {
    // As each stream of the group says it.
    past.note('g', view)
    past.note('g', view)
  }
  const now = views[19] as View
  const found = views.slice(0, 19).filter((view) => past.recall('g', 'sotw', sotw(view), now) !== undefined)
  expect(found).toEqual(views.slice(11, 19))
  nowMs = 10 * 60_000
  expect(past.recall('g', 'sotw', sotw(views[18] as View), now)).toBeUndefined()
})
