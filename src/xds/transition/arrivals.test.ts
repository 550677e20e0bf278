import { describe, expect, test } from 'vitest'
import { edsCluster, resource } from '../../../test/support/resource.ts'
import type { Resource } from '../../resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../../resource/type-url.ts'
import { diffSets, emptySet, internSet, type ResourceSet, setOfResources } from '../../snapshot/resource-set.ts'
import { nameSetOf } from '../protocol/names.ts'
import { newSubscription, noteAck, noteSent, type Sent, type Subscription } from '../protocol/subscription.ts'
import { Arrivals } from './arrivals.ts'

const ads = { ads: {}, resource_api_version: 'V3' }
const [x, y, z] = [edsCluster('x'), edsCluster('y'), edsCluster('z')]
const sharing = (name: string, service_name: string): Resource =>
  resource('cluster', name, { type: 'EDS', eds_cluster_config: { eds_config: ads, service_name } })
const withSecret = (name: string, secret: string): Resource =>
  resource('cluster', name, {
    type: 'EDS',
    eds_cluster_config: { eds_config: ads },
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        common_tls_context: { validation_context_sds_secret_config: { name: secret, sds_config: ads } },
      },
    },
  })

const setOf = (...clusters: readonly Resource[]): ResourceSet =>
  internSet(setOfResources(resourceTypes.cluster.typeUrl, clusters))
const first = setOf(x)

/** A client that has accepted cluster x and its assignment, and then says nothing of clusters. */
class Client {
  readonly #arrivals = new Arrivals()
  readonly #subscriptions = new Map<ResourceWord, Subscription>()
  #nonce = 0
  #asked = ['x']

  clusters(...clusters: readonly Resource[]): Sent {
    const set = setOf(...clusters)
    const before = this.#of('cluster').sent ?? first
    const sent = this.#send('cluster', set)
    const news = diffSets(before, set).changed
    this.#arrivals.noteClusters(this.#of('cluster'), news, first, nameSetOf(this.#asked))
    return sent
  }

  ask(...names: readonly string[]): void {
    this.#asked = [...names]
  }

  send(word: ResourceWord, ...resources: readonly Resource[]): Sent {
    const sent = this.#send(word, setOfResources(resourceTypes[word].typeUrl, resources))
    this.#arrivals.noteSent(this.#of(word), resources)
    return sent
  }

  accept(word: ResourceWord, sent: Sent): void {
    const before = this.#of(word)
    const after = noteAck(before, sent)
    this.#subscriptions.set(word, after)
    if (word === 'cluster') this.#arrivals.noteVerdict(after)
    else this.#arrivals.noteAccepted(before, after)
  }

  /** The assignments of these, asked for, sent and accepted. */
  assign(...names: readonly string[]): void {
    this.#asked.push(...names)
    this.accept('endpoint', this.send('endpoint', ...names.map((name) => resource('endpoint', name))))
  }

  /** The names of the clusters that it has for sure. */
  has(isMute = false): readonly string[] {
    const sets = this.#arrivals.seenIn([first], this.#of('cluster').outstanding, nameSetOf(this.#asked), isMute)
    const [some, ...others] = sets
    const names = [...(some ?? first).values()].map(({ name }) => name)
    return names.filter((name) => others.every((set) => set.get(name) !== undefined))
  }

  #of(word: ResourceWord): Subscription {
    return this.#subscriptions.get(word) ?? newSubscription(resourceTypes[word].typeUrl)
  }

  #send(word: ResourceWord, set: ResourceSet): Sent {
    const nonce = String(++this.#nonce)
    const sent: Sent = { nonce, set, isComplete: true, lastPart: nonce, owed: 'all', atMs: 0 }
    this.#subscriptions.set(word, noteSent(this.#of(word), sent))
    return sent
  }
}

describe('a client that says nothing of its clusters has', () => {
  test('one whose assignment it asked for when it had it, and accepted', () => {
    const client = new Client()
    client.clusters(x, y)
    expect(client.has()).toEqual(['x'])
    client.ask('x', 'y')
    const sent = client.send('endpoint', resource('endpoint', 'y'))
    expect(client.has()).toEqual(['x'])
    client.accept('endpoint', sent)
    expect(client.has()).toEqual(['x', 'y'])
  })

  test('one that came after others of which it said nothing', () => {
    const client = new Client()
    client.clusters(x, y)
    client.clusters(x, y, z)
    client.assign('z')
    expect(client.has()).toEqual(['x', 'z'])
    client.clusters(x, y, z, edsCluster('w'))
    expect(client.has()).toEqual(['x', 'z'])
  })

  test('one whose secret it accepted, too', () => {
    const client = new Client()
    client.clusters(x, withSecret('y', 's'))
    client.assign('y')
    expect(client.has()).toEqual(['x'])
    client.accept('secret', client.send('secret', resource('secret', 's')))
    expect(client.has()).toEqual(['x', 'y'])
  })

  test('one with an older assignment that it accepted together with a newer answer', () => {
    const client = new Client()
    client.clusters(x, y, z)
    client.ask('x', 'y', 'z')
    client.send('endpoint', resource('endpoint', 'y'))
    client.accept('endpoint', client.send('endpoint', resource('endpoint', 'z')))
    expect(client.has()).toEqual(['x', 'y', 'z'])
  })

  test('none that was taken away since, until it has come again', () => {
    const client = new Client()
    client.clusters(x, y)
    client.assign('y')
    client.clusters(x)
    expect(client.has()).toEqual(['x'])
    client.ask('x')
    client.clusters(x, y)
    expect(client.has()).toEqual(['x'])
    client.assign('y')
    expect(client.has()).toEqual(['x', 'y'])
  })
})

describe('nothing tells that a client has', () => {
  test('a cluster whose assignment it had asked for before: it may have refused the cluster', () => {
    const client = new Client()
    client.clusters(x, sharing('y', 'x'))
    client.assign('x')
    expect(client.has()).toEqual(['x'])
  })

  test('clusters that share a new assignment: it may have refused one of them', () => {
    const client = new Client()
    client.clusters(x, sharing('y', 's'), sharing('z', 's'))
    client.assign('s')
    expect(client.has()).toEqual(['x'])
  })

  test('a cluster whose assignment it does not ask for any more', () => {
    const client = new Client()
    client.clusters(x, y)
    client.assign('y')
    client.ask('x')
    expect(client.has()).toEqual(['x'])
  })

  test('a cluster whose assignment was sent and is not accepted yet, whatever else is', () => {
    const client = new Client()
    client.clusters(x, y)
    client.ask('x', 'y')
    client.accept('endpoint', client.send('endpoint', resource('endpoint', 'x')))
    client.send('endpoint', resource('endpoint', 'y'))
    expect(client.has()).toEqual(['x'])
  })

  test('a cluster whose endpoints are left to others', () => {
    const client = new Client()
    const leds_cluster_locality_config = { leds_config: ads, leds_collection_name: 'xdstp://a/b/c/*' }
    client.clusters(x, y)
    client.ask('x', 'y')
    const parts = resource('endpoint', 'y', { endpoints: [{ leds_cluster_locality_config }] })
    client.accept('endpoint', client.send('endpoint', parts))
    expect(client.has()).toEqual(['x'])
  })

  test('a cluster with a secret that was accepted before it came: it may be from another source', () => {
    const client = new Client()
    client.accept('secret', client.send('secret', resource('secret', 's')))
    client.clusters(x, withSecret('y', 's'))
    client.assign('y')
    expect(client.has()).toEqual(['x'])
  })

  test('a static cluster, before it was silent for long', () => {
    const client = new Client()
    client.clusters(x, resource('cluster', 'y', { type: 'STATIC' }), resource('cluster', 'z', { type: 'STRICT_DNS' }))
    client.accept('endpoint', client.send('endpoint', resource('endpoint', 'x')))
    expect(client.has()).toEqual(['x'])
    expect(client.has(true)).toEqual(['x', 'y'])
  })
})

test('After the verdict on the clusters nothing is kept', () => {
  const client = new Client()
  const sent = client.clusters(x, y)
  client.assign('y')
  client.accept('cluster', sent)
  expect(client.has()).toEqual(['x'])
})

test('What an empty set lacks is asked for anew', () => {
  expect(new Arrivals().seenIn([emptySet(first.typeUrl)], [], nameSetOf(['x']), false)).toEqual([
    emptySet(first.typeUrl),
  ])
})
