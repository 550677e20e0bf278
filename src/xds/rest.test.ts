import { describe, expect, test } from 'vitest'
import { envoyApi, resource, routeTo } from '../../test/support/resource.ts'
import { createSnapshotCache } from '../cache/snapshot-cache.ts'
import { messageToJson } from '../resource/json/codec.ts'
import type { Resource } from '../resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../resource/type-url.ts'
import { answerPoll, answerRest, type RestAnswer, type RestDeps } from './rest.ts'

const [a, b] = [resource('cluster', 'a'), resource('cluster', 'b')]
const assignment = resource('endpoint', 'a')
const token = resource('secret', 'token', 1)
const listenerWithKey = resource('listener', 'https', {
  filter_chains: [
    {
      transport_socket: {
        name: 'envoy.transport_sockets.tls',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
          common_tls_context: { tls_certificates: [{ private_key: { inline_string: 'PRIVATE' } }] },
        },
      },
    },
  ],
})

function serving(...resources: readonly Resource[]): RestDeps {
  const cache = createSnapshotCache()
  const selectors = [{ cluster: 'edge' }]
  const origin = { name: 'a.yaml' }
  cache.apply({ upserted: [{ key: 'unit', origin, selectors, resources }], removed: [], withheld: [] })
  return { cache, api: envoyApi, isSecure: true }
}

const node = { id: 'edge-1', cluster: 'edge' }

function ask(deps: RestDeps, word: ResourceWord, request: unknown = { node }): RestAnswer {
  return answerRest(deps, resourceTypes[word], request)
}

interface DiscoveryResponse {
  readonly version_info: string
  readonly resources: readonly Readonly<Record<string, unknown>>[]
}

/** Names, and the version. @throws Error when it is not 200 */
function told(answer: RestAnswer): { readonly names: readonly unknown[]; readonly version: string } {
  if (answer.status !== 200) throw new Error(JSON.stringify(answer))
  const { resources, version_info: version } = answer.body as DiscoveryResponse
  return { names: resources.map((item) => item['name'] ?? item['cluster_name']), version }
}

describe('REST xDS (rule 94)', () => {
  test('answers a DiscoveryResponse in proto3 JSON', () => {
    const answer = ask(serving(a), 'cluster')
    expect(answer).toEqual({
      status: 200,
      body: {
        version_info: expect.stringMatching(/^[0-9a-f]{8,}$/),
        resources: [messageToJson(envoyApi, a.typeUrl, a.bytes)],
        type_url: a.typeUrl,
        nonce: expect.any(String),
      },
    })
    expect((answer.body as DiscoveryResponse).resources[0]).toMatchObject({ '@type': a.typeUrl, name: 'a' })
  })

  test.each<[string, object, readonly string[]]>([
    ['no names: everything, as the type is a wildcard', {}, ['a', 'b']],
    ['an empty list: everything', { resource_names: [] }, ['a', 'b']],
    ['`*`: everything', { resource_names: ['*'] }, ['a', 'b']],
    ['`*` and a name: everything, once', { resource_names: ['*', 'b'] }, ['a', 'b']],
    ['a name', { resource_names: ['b'] }, ['b']],
    ['a name twice: one resource (rule 35)', { resource_names: ['b', 'b'] }, ['b']],
    ['a known and an unknown name: the known one (rule 25)', { resource_names: ['a', 'x'] }, ['a']],
    ['an unknown name: nothing', { resource_names: ['x'] }, []],
    ['camelCase', { resourceNames: ['b'], typeUrl: a.typeUrl }, ['b']],
    ['an empty type_url', { type_url: '' }, ['a', 'b']],
    ['null for what is absent', { resource_names: null, version_info: null }, ['a', 'b']],
    ['fields that we do not know (rule 67)', { resource_locators: [{ name: 'x' }], response_nonce: '7' }, ['a', 'b']],
  ])('%s', (_, request, names) => {
    expect(told(ask(serving(a, b), 'cluster', { node, ...request })).names).toEqual(names)
  })

  test('an empty world is an answer, with a version (rule 33)', () => {
    const { names, version } = told(ask(serving(), 'cluster'))
    expect([names, version === '']).toEqual([[], false])
  })

  test('a node that nothing selects gets the empty world', () => {
    expect(told(ask(serving(a), 'cluster', { node: { id: 'x', cluster: 'other' } })).names).toEqual([])
  })

  test('says 304, without a body, to who has the version; and not when it is another', () => {
    const deps = serving(a, b)
    const { version } = told(ask(deps, 'cluster'))
    expect(ask(deps, 'cluster', { node, version_info: version })).toEqual({ status: 304 })
    expect(ask(deps, 'cluster', { node, versionInfo: version })).toEqual({ status: 304 })
    expect(ask(deps, 'cluster', { node, version_info: 'old' }).status).toBe(200)
  })

  test('has a version for the names asked for: other names at the same snapshot are answered (rule 26)', () => {
    const deps = serving(a, b)
    const { version } = told(ask(deps, 'cluster', { node, resource_names: ['a'] }))
    expect(ask(deps, 'cluster', { node, resource_names: ['a'], version_info: version })).toEqual({ status: 304 })
    const wider = ask(deps, 'cluster', { node, resource_names: ['a', 'b'], version_info: version })
    expect(told(wider).names).toEqual(['a', 'b'])
    expect(told(wider).version).toBe(told(ask(deps, 'cluster')).version)
  })

  test('has the same version as long as the names asked for do not change, whatever else does', () => {
    const request = { node, resource_names: ['a'] }
    const { version } = told(ask(serving(a, b), 'cluster', request))
    const elsewhere = serving(a, resource('cluster', 'b', 2), routeTo('r', 'a'))
    expect(ask(elsewhere, 'cluster', { ...request, version_info: version })).toEqual({ status: 304 })
    expect(ask(serving(resource('cluster', 'a', 2)), 'cluster', { ...request, version_info: version }).status).toBe(200)
  })

  test.each<[ResourceWord, string]>(
    Object.values(resourceTypes)
      .filter(({ rest }) => rest !== undefined)
      .map(({ word, rest }) => [word as ResourceWord, rest as string]),
  )('knows %s at %s', (word) => {
    const one = resource(word, 'one')
    expect(told(ask(serving(one), word)).names).toEqual(['one'])
  })

  test.each<[string, unknown, RegExp]>([
    ['a text', 'x', /JSON object/],
    ['null', null, /JSON object/],
    ['nothing', undefined, /JSON object/],
    ['a list', [], /JSON object/],
    ['no node', {}, /node\.id is missing/],
    ['a node without an id (rule 2)', { node: { cluster: 'edge' } }, /node\.id is missing/],
    ['another type', { node, type_url: assignment.typeUrl }, /type_url must be .*Cluster at \/v3\/discovery:clusters/],
    ['names that are no list', { node, resource_names: 'a' }, /list of strings/],
    ['names that are no texts', { node, resource_names: [1] }, /list of strings/],
  ])('%s is refused with 400', (_, request, words) => {
    // Not through `ask`, which gives a node where there is nothing.
    const answer = answerRest(serving(a), resourceTypes.cluster, request)
    expect(answer).toMatchObject({ status: 400, body: { message: expect.stringMatching(words) } })
  })

  test('says 503 while there is nothing to serve, and to a group that is withheld', () => {
    const cache = createSnapshotCache()
    const deps = { cache, api: envoyApi, isSecure: true }
    expect(ask(deps, 'cluster')).toMatchObject({ status: 503, body: { message: expect.stringContaining('/ready') } })
    const problem = {
      severity: 'error',
      code: 'withheld',
      origin: { name: 'a' },
      path: '',
      message: '',
      fix: '',
    } as const
    cache.apply({ upserted: [], removed: [], withheld: [{ selectors: [{ cluster: 'edge' }], problem }] })
    expect(ask(deps, 'cluster').status).toBe(503)
    expect(ask(deps, 'cluster', { node: { id: 'x', cluster: 'other' } }).status).toBe(200)
  })
})

describe('what is secret', () => {
  test('goes to who asks over loopback', () => {
    expect(told(ask(serving(token), 'secret')).names).toEqual(['token'])
    expect(JSON.stringify(ask(serving(listenerWithKey), 'listener'))).toContain('PRIVATE')
  })

  test('is left out elsewhere, of types whose absence removes nothing (rule 23)', () => {
    const deps = { ...serving(token), isSecure: false }
    expect(told(ask(deps, 'secret')).names).toEqual([])
    expect(told(ask(deps, 'secret', { node, resource_names: ['token'] })).names).toEqual([])
  })

  test('stops the answer elsewhere, of types whose absence is removal (rule 22)', () => {
    const deps = { ...serving(listenerWithKey, resource('listener', 'plain')), isSecure: false }
    const answer = ask(deps, 'listener')
    expect(answer.status).toBe(503)
    expect(JSON.stringify(answer)).not.toContain('PRIVATE')
    expect(told(ask(deps, 'listener', { node, resource_names: ['plain'] })).names).toEqual(['plain'])
  })

  test('and not ready, since the history does not keep it, is no removal either (rule 53)', () => {
    expect(told(ask(serving({ ...token, isReady: false }), 'secret')).names).toEqual([])
    expect(ask(serving({ ...listenerWithKey, isReady: false }), 'listener').status).toBe(503)
  })
})

describe('a poll by a client that may have what is newer (rule 87)', () => {
  const poll = async (deps: RestDeps, version_info: string | undefined): Promise<RestAnswer> =>
    await answerPoll(deps, resourceTypes.cluster, { node, ...(version_info !== undefined && { version_info }) })

  test.each<[string, string | undefined, boolean, number, number]>([
    ['is answered at once when it states nothing', undefined, false, 200, 0],
    ['is answered at once when it states what is in force', 'current', false, 304, 0],
    ['is answered with proof that this is no older', 'other', true, 200, 1],
    ['is not answered without', 'other', false, 503, 1],
  ])('%s', async (_name, stated, isProven, status, questions) => {
    let asked = 0
    const proof = async (): Promise<boolean> => {
      asked++
      return await Promise.resolve(isProven)
    }
    const deps = { ...serving(a), barrier: { proof } }
    const version = stated === 'current' ? told(ask(deps, 'cluster')).version : stated
    expect([(await poll(deps, version)).status, asked]).toEqual([status, questions])
  })

  test('is answered with what is in force when there is proof', async () => {
    const deps = serving(a)
    const proof = async (): Promise<boolean> => {
      const origin = { name: 'b.yaml' }
      const unit = { key: 'more', origin, selectors: [{ cluster: 'edge' }], resources: [b] }
      deps.cache.apply({ upserted: [unit], removed: [], withheld: [] })
      return await Promise.resolve(true)
    }
    expect(told(await poll({ ...deps, barrier: { proof } }, 'newer')).names).toEqual(['a', 'b'])
  })
})
