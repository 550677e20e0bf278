/** A control plane that serves what a test has set, to any number of proxies, over both protocols. */
import type { FakeXdsStream, Message } from '../../support/fake-xds-server.ts'
import { startFakeXdsServer } from '../../support/fake-xds-server.ts'

export const typeUrls = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
} as const

export type XdsType = keyof typeof typeUrls

type Resources = ReadonlyMap<string, object>

export interface ScriptedXds {
  readonly port: number
  /** In place of all of that type. */
  set(type: XdsType, resources: Readonly<Record<string, object>>): void
  /** Streams that were opened so far. */
  readonly streams: number
  /** Why responses were refused, newest last. */
  readonly refusals: readonly string[]
  /** Answers that took what was last set of a type. */
  readonly accepted: number
  /** As a process that is killed. */
  stop(): Promise<void>
}

/** @param world of another one, to go on where it was killed */
export async function startScriptedXds(port = 0, world: Map<string, Resources> = new Map()): Promise<ScriptedXds> {
  const server = await startFakeXdsServer(port)
  const talks = new Set<Talk>()
  const refusals: string[] = []
  let streams = 0
  let accepted = 0
  const state = { isStopped: false }
  const serve = async (): Promise<void> => {
    while (!state.isStopped) {
      let stream: FakeXdsStream
      try {
        stream = await server.nextStream()
      } catch {
        // None came for a while.
        continue
      }
      streams++
      const talk = new Talk(stream, world, {
        onRefusal: (why) => refusals.push(why),
        onAccepted: () => accepted++,
      })
      talks.add(talk)
      void talk.run().then(() => talks.delete(talk))
    }
  }
  void serve()
  return {
    port: server.port,
    get streams() {
      return streams
    },
    get accepted() {
      return accepted
    },
    refusals,
    set(type, resources) {
      // Without what is undefined, which JSON does not know.
      const plain = JSON.parse(JSON.stringify(resources)) as Readonly<Record<string, object>>
      world.set(typeUrls[type], new Map(Object.entries(plain)))
      for (const talk of talks) talk.tell(typeUrls[type])
    },
    async stop() {
      state.isStopped = true
      await server.stop()
    },
  }
}

interface Subscription {
  names: ReadonlySet<string>
  isWild: boolean
  nonce: string
  /** What was sent last, by name. */
  sent: Map<string, string>
}

class Talk {
  readonly #stream: FakeXdsStream
  readonly #world: ReadonlyMap<string, Resources>
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #listener: { onRefusal(why: string): void; onAccepted(): void }
  #count = 0
  #isOver = false

  constructor(
    stream: FakeXdsStream,
    world: ReadonlyMap<string, Resources>,
    listener: { onRefusal(why: string): void; onAccepted(): void },
  ) {
    this.#stream = stream
    this.#world = world
    this.#listener = listener
    void stream.closed.then(() => {
      this.#isOver = true
    })
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      try {
        this.#onRequest(await this.#stream.next())
      } catch {
        // Nothing came for a while.
      }
    }
  }

  #onRequest(request: Message): void {
    const url = String(request['type_url'])
    const known = this.#subscriptions.get(url)
    const { error_detail: error, response_nonce: nonce = '' } = request
    if (error !== undefined) this.#listener.onRefusal(String((error as { readonly message?: unknown }).message))
    else if (nonce !== '' && nonce === known?.nonce) this.#listener.onAccepted()
    const isDelta = this.#stream.protocol === 'delta'
    const list = (name: string): readonly string[] => (request[name] as readonly string[] | undefined) ?? []
    if (known === undefined) {
      const names = new Set(list(isDelta ? 'resource_names_subscribe' : 'resource_names'))
      const sent = new Map(
        Object.entries((request['initial_resource_versions'] as Readonly<Record<string, string>> | undefined) ?? {}),
      )
      this.#subscriptions.set(url, { names, isWild: names.size === 0, nonce: '', sent })
      this.#send(url, true)
      return
    }
    if (!isDelta && nonce !== known.nonce) return
    const before = known.names
    if (isDelta) {
      const names = new Set([...before, ...list('resource_names_subscribe')])
      for (const name of list('resource_names_unsubscribe')) {
        names.delete(name)
        known.sent.delete(name)
      }
      for (const name of list('resource_names_subscribe')) known.sent.delete(name)
      known.names = names
      if (list('resource_names_subscribe').length > 0) this.#send(url, true)
      return
    }
    known.names = new Set(list('resource_names'))
    if ([...known.names].some((name) => !before.has(name))) this.#send(url, true)
  }

  tell(url: string): void {
    if (this.#subscriptions.has(url) && !this.#isOver) this.#send(url, false)
  }

  #send(url: string, isAsked: boolean): void {
    const subscription = this.#subscriptions.get(url) as Subscription
    const all = [...(this.#world.get(url) ?? [])].filter(
      ([name]) => subscription.isWild || subscription.names.has(name),
    )
    const versions = new Map(all.map(([name, content]) => [name, versionOf(content)]))
    subscription.nonce = String(++this.#count)
    const nonce = subscription.nonce
    if (this.#stream.protocol === 'sotw') {
      const resources = all.map(([, content]) => ({ '@type': url, ...content }))
      this.#stream.send({ version_info: versionOf(resources), type_url: url, nonce, resources })
    } else {
      const changed = all.filter(([name]) => subscription.sent.get(name) !== versions.get(name))
      const removed = [...subscription.sent.keys()].filter((name) => !versions.has(name))
      if (changed.length === 0 && removed.length === 0 && !isAsked) return
      this.#stream.send({
        type_url: url,
        nonce,
        resources: changed.map(([name, content]) => ({
          name,
          version: versions.get(name),
          resource: { '@type': url, ...content },
        })),
        removed_resources: removed,
      })
    }
    subscription.sent = versions
  }
}

function versionOf(content: unknown): string {
  let hash = 7
  for (const char of JSON.stringify(content)) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0
  return hash.toString(36)
}
