import { describe, expect, test } from 'vitest'
import { buildResource, buildUnreadyResource, type Resource } from '../../resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../../resource/type-url.ts'
import { type ResourceSet, setOfResources } from '../../snapshot/resource-set.ts'
import { type Content, deltaContent, isSotwSilent, questionOf, sotwContent } from './content.ts'
import { nameSetOf } from './names.ts'
import { newSubscription, noteAck, noteNack, noteSent, type Sent, type Subscription } from './subscription.ts'

const origin = { name: 'test.yaml' }

function resource(word: ResourceWord, name: string, text = '', more: { aliases?: string[] } = {}): Resource {
  return buildResource({ typeUrl: resourceTypes[word].typeUrl, name, bytes: Buffer.from(text), origin, ...more })
}

function setFor(word: ResourceWord, contents: Readonly<Record<string, string>>): ResourceSet {
  const members = Object.entries(contents).map(([name, text]) => resource(word, name, text))
  return setOfResources(resourceTypes[word].typeUrl, members)
}

function asking(word: ResourceWord, names: '*' | readonly string[], more: Partial<Subscription> = {}): Subscription {
  const isWildcard = names === '*'
  const named = isWildcard ? nameSetOf([]) : nameSetOf(names)
  return {
    ...newSubscription(resourceTypes[word].typeUrl),
    isWildcard,
    names: named,
    owed: isWildcard ? 'all' : named,
    ...more,
  }
}

/** After a response that brought the client to `set`. */
function sent(subscription: Subscription, set: ResourceSet, nonce = '1'): readonly [Subscription, Sent] {
  const response: Sent = { nonce, lastPart: nonce, set, isComplete: true, owed: subscription.owed, atMs: 0 }
  return [noteSent(subscription, response), response]
}

function accepted(subscription: Subscription, set: ResourceSet): Subscription {
  return noteAck(...sent(subscription, set))
}

const always = (candidate: Resource): boolean => candidate.isReady
const shown = ({ resources, removed }: Content): string =>
  [
    ...resources.map(({ name, bytes }) => `${name}=${Buffer.from(bytes).toString()}`),
    ...removed.map((n) => `-${n}`),
  ].join(' ')

function sotw(subscription: Subscription, set: ResourceSet): string {
  const question = questionOf(subscription, set)
  const type = Object.values(resourceTypes).find(({ typeUrl }) => typeUrl === set.typeUrl)
  const content = sotwContent(question, type, always, false)
  return isSotwSilent(question, content, type) ? 'silence' : shown(content) || 'empty'
}

function delta(subscription: Subscription, set: ResourceSet): string {
  return shown(deltaContent(questionOf(subscription, set), always)) || 'silence'
}

const ab = setFor('cluster', { a: '1', b: '1' })
const endpoints = setFor('endpoint', { a: '1', b: '1', c: '1' })

describe('SotW content', () => {
  test.each<[title: string, Subscription, ResourceSet, string]>([
    ['A wildcard of clusters is their full state', asking('cluster', '*'), ab, 'a=1 b=1'],
    [
      'One changed cluster is sent with all others (rule 20)',
      accepted(asking('cluster', '*'), ab),
      setFor('cluster', { a: '2', b: '1' }),
      'a=2 b=1',
    ],
    [
      'The last cluster gone is an empty response (rule 22)',
      accepted(asking('cluster', '*'), ab),
      setFor('cluster', {}),
      'empty',
    ],
    ['Unchanged clusters are not sent', accepted(asking('cluster', '*'), ab), ab, 'silence'],
    [
      'A change that a client did not ask for is not told',
      accepted(asking('cluster', ['a']), ab),
      setFor('cluster', { a: '1', b: '2' }),
      'silence',
    ],
    [
      'Named clusters are full state of the names',
      accepted(asking('cluster', ['a', 'b']), ab),
      setFor('cluster', { a: '2', b: '1', c: '1' }),
      'a=2 b=1',
    ],
    ['Named assignments', asking('endpoint', ['a', 'c']), endpoints, 'a=1 c=1'],
    ['What is known is sent though a name is not (rule 25)', asking('endpoint', ['a', 'x']), endpoints, 'a=1'],
    ['Nothing is said of a name that nobody knows (rule 25)', asking('endpoint', ['x']), endpoints, 'silence'],
    [
      'One changed assignment is sent alone (rule 21)',
      accepted(asking('endpoint', ['a', 'b']), endpoints),
      setFor('endpoint', { a: '2', b: '1', c: '2' }),
      'a=2',
    ],
    [
      'A name that comes to be is sent',
      accepted(asking('endpoint', ['x']), endpoints),
      setFor('endpoint', { a: '1', b: '1', c: '1', x: '1' }),
      'x=1',
    ],
    [
      'An assignment gone is not told (rule 23)',
      accepted(asking('endpoint', ['a', 'b']), endpoints),
      setFor('endpoint', { b: '1', c: '1' }),
      'silence',
    ],
    [
      'A name newly asked for is sent though nothing changed (rule 26)',
      { ...accepted(asking('endpoint', ['a']), endpoints), names: nameSetOf(['a', 'b']), owed: nameSetOf(['b']) },
      endpoints,
      'b=1',
    ],
    [
      'What is owed and no longer asked for is not sent (rule 79)',
      { ...accepted(asking('endpoint', ['a']), endpoints), owed: nameSetOf(['b']) },
      endpoints,
      'silence',
    ],
  ])('%s', (_, subscription, set, expected) => {
    expect(sotw(subscription, set)).toBe(expected)
  })

  test('An unanswered push is part of the next one', () => {
    const [waiting] = sent(
      accepted(asking('endpoint', '*'), setFor('endpoint', { a: '1', b: '1' })),
      setFor('endpoint', { a: '2', b: '1' }),
      '2',
    )
    expect(sotw(waiting, setFor('endpoint', { a: '2', b: '2' }))).toBe('a=2 b=2')
  })

  test('Rejected content waits for a change, and a change brings all that may be missing (rules 30, 31)', () => {
    const rejected = setFor('endpoint', { a: 'good', b: 'bad' })
    const [waiting, response] = sent(
      accepted(asking('endpoint', '*'), setFor('endpoint', { a: '1', b: '1' })),
      rejected,
      '2',
    )
    const nacked = noteNack(waiting, response, 'b is bad')
    expect(sotw(nacked, rejected)).toBe('silence')
    expect(sotw(nacked, setFor('endpoint', { a: 'good', b: 'fixed' }))).toBe('a=good b=fixed')
    // Back to what was accepted: the rejected response may have been taken by half.
    expect(sotw(nacked, setFor('endpoint', { a: '1', b: '1' }))).toBe('a=1 b=1')
    const asksMore = { ...nacked, names: nameSetOf(['a']), owed: nameSetOf(['a']) }
    expect(sotw(asksMore, rejected)).toBe('a=good')
  })

  test('What was sent for the asking and rejected comes again with the next change', () => {
    const old = setFor('endpoint', { a: '1', x: 'bad' })
    const asksX = { ...accepted(asking('endpoint', ['a']), old), names: nameSetOf(['a', 'x']), owed: nameSetOf(['x']) }
    const nacked = noteNack(...sent(asksX, old, '2'), 'no')
    expect(sotw(nacked, setFor('endpoint', { a: '2', x: 'bad' }))).toBe('a=2 x=bad')
  })

  test('A full state with a member that is not ready is not sent, for its absence would delete it (rule 53)', () => {
    const { typeUrl } = resourceTypes.listener
    const unready = buildUnreadyResource({ typeUrl, name: 'b', origin, version: 'v' })
    const set = setOfResources(typeUrl, [resource('listener', 'a'), unready])
    const content = sotwContent(questionOf(asking('listener', '*'), set), resourceTypes.listener, always, false)
    expect({ isWithheld: content.isWithheld, unsendable: content.unsendable }).toEqual({
      isWithheld: true,
      unsendable: ['b'],
    })
  })
})

describe('delta content', () => {
  const stated = (versions: Readonly<Record<string, string>>): Partial<Subscription> => ({
    owed: nameSetOf([]),
    initialVersions: new Map(Object.entries(versions)),
  })
  const versionOfA = ab.get('a')?.version as string

  test.each<[title: string, Subscription, ResourceSet, string]>([
    ['A first wildcard gets everything', asking('cluster', '*'), ab, 'a=1 b=1'],
    ['A change and a removal', accepted(asking('cluster', '*'), ab), setFor('cluster', { a: '2' }), 'a=2 -b'],
    ['A name that does not exist is removed at once (rule 52)', asking('cluster', ['a', 'x']), ab, 'a=1 -x'],
    [
      'A name that comes to be is sent (rule 52)',
      accepted(asking('cluster', ['x']), ab),
      setFor('cluster', { a: '1', b: '1', x: '1' }),
      'x=1',
    ],
    [
      'What the client states and has is not sent; the rest is sent or removed (rules 55, 56)',
      asking('cluster', '*', stated({ a: versionOfA, b: 'older', gone: 'v' })),
      ab,
      'b=1 -gone',
    ],
    ['A client with everything is told nothing', asking('cluster', ['a'], stated({ a: versionOfA })), ab, 'silence'],
    [
      'A name stated and not asked for is none of our business',
      asking('cluster', ['a'], stated({ a: versionOfA, gone: 'v' })),
      ab,
      'silence',
    ],
    [
      'A name asked for once more is sent once more (rule 51)',
      { ...accepted(asking('cluster', ['a']), ab), owed: nameSetOf(['a']) },
      ab,
      'a=1',
    ],
    [
      'A name let go beside a wildcard is sent if it exists (rule 44)',
      { ...accepted(asking('cluster', '*'), ab), owed: nameSetOf(['a']) },
      ab,
      'a=1',
    ],
    [
      'A name let go beside a wildcard is removed if it does not (rule 44)',
      { ...accepted(asking('cluster', '*'), ab), owed: nameSetOf(['x']) },
      ab,
      '-x',
    ],
    [
      'What is not ready is neither sent nor removed (rule 53)',
      asking('secret', ['s']),
      setOfResources(resourceTypes.secret.typeUrl, [
        buildUnreadyResource({ typeUrl: resourceTypes.secret.typeUrl, name: 's', origin, version: 'v' }),
      ]),
      'silence',
    ],
  ])('%s', (_, subscription, set, expected) => {
    expect(delta(subscription, set)).toBe(expected)
  })

  test('A secret that becomes ready is sent', () => {
    const { typeUrl } = resourceTypes.secret
    const unready = setOfResources(typeUrl, [buildUnreadyResource({ typeUrl, name: 's', origin, version: 'v' })])
    expect(delta(accepted(asking('secret', ['s']), unready), setFor('secret', { s: 'key' }))).toBe('s=key')
  })

  test('A glob gets the members of its collection, by their own names (rule 49)', () => {
    const prefix = 'xdstp://a/t/edge'
    const set = setFor('listener', { [`${prefix}/x`]: '1', [`${prefix}/x/y`]: '1', 'xdstp://a/t/core/x': '1' })
    const subscription = asking('listener', [`${prefix}/*`])
    expect(delta(subscription, set)).toBe(`${prefix}/x=1`)
    expect(delta(accepted(subscription, set), setFor('listener', {}))).toBe(`-${prefix}/x`)
  })
})

describe('VHDS', () => {
  const hosts = (contents: Readonly<Record<string, string>>): ResourceSet =>
    setOfResources(
      resourceTypes.virtualHost.typeUrl,
      Object.entries(contents).map(([domain, text]) =>
        resource('virtualHost', `rc/${text}`, text, { aliases: [`rc/${domain}`] }),
      ),
    )
  const set = hosts({
    'shop.example': 'exact',
    '*.example': 'suffix',
    '*.shop.example': 'longer',
    'shop.*': 'prefix',
    '*': 'all',
  })

  test.each([
    ['rc/shop.example', 'exact'],
    ['rc/Shop.Example', 'exact'],
    ['rc/a.example', 'suffix'],
    ['rc/a.shop.example', 'longer'],
    ['rc/shop.test', 'prefix'],
    ['rc/other', 'all'],
    ['rc/exact', 'exact'],
  ])('%s is served by the virtual host %s (rule 50)', (name, expected) => {
    const content = deltaContent(questionOf(asking('virtualHost', [name]), set), always)
    expect(content.resources.map((host) => host.name)).toEqual([`rc/${expected}`])
    expect(Buffer.concat(content.frames).includes(name)).toBe(true)
  })

  test('An unknown host is answered by name, without a body (rule 50), and pushed when it comes to be', () => {
    const nothing = hosts({})
    const subscription = asking('virtualHost', ['rc/new.test'])
    const content = deltaContent(questionOf(subscription, nothing), always)
    expect(content.resources).toEqual([])
    expect(content.frames).toHaveLength(1)
    expect(content.removed).toEqual([])
    expect(delta(accepted(subscription, nothing), hosts({ 'new.test': 'new' }))).toBe('rc/new=new')
    expect(delta(accepted(subscription, hosts({ 'new.test': 'new' })), nothing)).toBe('-rc/new')
  })
})
