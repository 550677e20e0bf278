import { describe, expect, test } from 'vitest'
import { smallResource } from '../../../test/support/small-view.ts'
import { buildUnreadyResource, type Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { setOfResources } from '../../snapshot/resource-set.ts'
import { nameSetOf } from '../protocol/names.ts'
import { isMetBy } from './claim.ts'

const { typeUrl } = resourceTypes.cluster
const [a, b, otherB] = ['cluster a=1', 'cluster b=1', 'cluster b=2'].map((text) => smallResource(text))
const present = setOfResources(
  typeUrl,
  [a, b].flatMap((one) => one ?? []),
)
const older = setOfResources(
  typeUrl,
  [a, otherB].flatMap((one) => one ?? []),
)
const [va = '', vb = '', vOther = ''] = [a?.version, b?.version, otherB?.version]

describe('what a client says that it has is what is in force', () => {
  test.each<[string, string, boolean]>([
    ['the version of all', present.version, true],
    ['another version', older.version, false],
    ['a version of another server, which counts', '1', false],
  ])('over SotW by %s: %s', (_name, versionInfo, expected) => {
    expect(isMetBy({ typeUrl, versionInfo, isWildcard: true, names: nameSetOf([]) }, present)).toBe(expected)
    expect(isMetBy({ typeUrl, versionInfo, isWildcard: false, names: nameSetOf(['a']) }, present)).toBe(expected)
  })

  test.each<[string, readonly string[], Readonly<Record<string, string>>, boolean]>([
    ['everything, of everything', ['*'], { a: va, b: vb }, true],
    ['everything, one at another version', ['*'], { a: va, b: vOther }, false],
    ['everything but one, which may be gone since', ['*'], { a: va }, false],
    ['more than everything', ['*'], { a: va, b: vb, c: va }, false],
    ['one, of one', ['a'], { a: va }, true],
    ['one, of two', ['a', 'b'], { a: va }, false],
    ['one, of one and one that nobody has', ['a', 'c'], { a: va }, true],
    ['two, of one: it asks for the other no more', ['a'], { a: va, b: vb }, true],
    ['one at a version that it does not know', ['a'], { a: '' }, false],
  ])('over delta by %s', (_name, subscribe, versions, expected) => {
    const initialVersions = new Map(Object.entries(versions))
    const claim = { typeUrl, initialVersions, isWildcard: subscribe.includes('*'), names: nameSetOf(subscribe) }
    expect(isMetBy(claim, present)).toBe(expected)
  })

  test('though it was restored without its sensitive content', () => {
    const secretType = resourceTypes.secret.typeUrl
    const [one, two] = ['secret s=1', 'secret s=2'].map((text) => smallResource(text))
    if (one === undefined || two === undefined) throw new Error('there are two')
    const { name, version, origin } = one
    const restored = setOfResources(secretType, [buildUnreadyResource({ typeUrl: secretType, name, version, origin })])
    const saysSotw = (had: Resource): boolean => {
      const versionInfo = setOfResources(secretType, [had]).version
      return isMetBy({ typeUrl: secretType, versionInfo, isWildcard: false, names: nameSetOf(['s']) }, restored)
    }
    const saysDelta = (had: Resource): boolean => {
      const initialVersions = new Map([['s', had.version]])
      return isMetBy({ typeUrl: secretType, initialVersions, isWildcard: false, names: nameSetOf(['s']) }, restored)
    }
    expect([saysSotw(one), saysSotw(two), saysDelta(one), saysDelta(two)]).toEqual([true, false, true, false])
  })

  test('over delta for a collection by all of its members', () => {
    const names = nameSetOf(['xdstp://x/envoy.config.cluster.v3.Cluster/shop/*'])
    const [one, two] = ['one', 'two'].map((name) =>
      smallResource(`cluster xdstp://x/envoy.config.cluster.v3.Cluster/shop/${name}`),
    )
    if (a === undefined || one === undefined || two === undefined) throw new Error('there are three')
    const set = setOfResources(typeUrl, [a, one, two])
    const claimOf = (...had: readonly (typeof one)[]) => ({
      typeUrl,
      initialVersions: new Map(had.map(({ name, version }) => [name, version])),
      isWildcard: false,
      names,
    })
    expect([isMetBy(claimOf(one, two), set), isMetBy(claimOf(one), set)]).toEqual([true, false])
  })
})
