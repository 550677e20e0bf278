import { create, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { smallView } from '../../test/support/small-view.ts'
import type { Group, SnapshotCache } from '../cache/cache.ts'
import { systemClock } from '../clock.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { type ResourceWord, resourceTypes, type TypeUrl, wordOf } from '../resource/type-url.ts'
import { setOfResources } from '../snapshot/resource-set.ts'
import { buildSnapshot, type Snapshot } from '../snapshot/snapshot.ts'
import type { Call } from './call.ts'
import { Barrier } from './fence/barrier.ts'
import { maxUnheard } from './fence/stream-fence.ts'
import { Admission } from './flow/admission.ts'
import { FanOut } from './flow/fan-out.ts'
import { SeldomLog } from './flow/seldom-log.ts'
import { BodyCache } from './protocol/body.ts'
import { ReplyMemo } from './protocol/reply.ts'
import { RequestReader } from './protocol/request-reader.ts'
import { StatusRecorder } from './status.ts'
import { Stream } from './stream.ts'
import type { StreamKind, StreamOptions } from './stream-deps.ts'
import type { Protocol, StreamEvent } from './stream-event.ts'

const { registry } = loadEnvoyApi()

function descOf(name: string): DescMessage {
  const desc = registry.getMessage(`envoy.service.discovery.v3.${name}`)
  if (desc === undefined) throw new Error(`no message ${name}`)
  return desc
}

const envelopes = {
  sotw: [descOf('DiscoveryRequest'), descOf('DiscoveryResponse')],
  delta: [descOf('DeltaDiscoveryRequest'), descOf('DeltaDiscoveryResponse')],
} as const

/** `cluster x=1 > endpoint x`: a type, a name, a content, and what it names. */
function resourceOf(text: string): Resource {
  const [what = '', ...targets] = text.split(' > ')
  const [word = '', nameAndContent = ''] = what.split(' ')
  const [name = ''] = nameAndContent.split('=')
  const { typeUrl } = resourceTypes[word as ResourceWord]
  const references = targets.map((target) => {
    const [targetWord, targetName = ''] = target.split(' ')
    return { typeUrl: resourceTypes[targetWord as ResourceWord].typeUrl, name: targetName, path: 'somewhere' }
  })
  const bytes = Buffer.from([nameAndContent, ...targets].join(' > '))
  const isSensitive = word === 'secret'
  const ttl = /=ttl(\d+)/.exec(nameAndContent)?.[1]
  return buildResource({
    typeUrl,
    name,
    bytes,
    origin: { name: 'test.yaml' },
    references,
    isSensitive,
    ...(ttl && { ttlMs: Number(ttl) }),
  })
}

function snapshot(...texts: readonly string[]): Snapshot {
  const byType = new Map<TypeUrl, Resource[]>()
  for (const resource of texts.map(resourceOf)) {
    byType.set(resource.typeUrl, [...(byType.get(resource.typeUrl) ?? []), resource])
  }
  return buildSnapshot([...byType].map(([typeUrl, resources]) => setOfResources(typeUrl, resources)))
}

/** What a stream writes to; its socket takes everything at once, or nothing while it is blocked. */
class FakeCall implements Call {
  readonly path = '/test'
  readonly peer = 'peer'
  readonly written: Buffer[] = []
  isBlocked = false
  ended: { readonly code: number; readonly details: string } | undefined
  onWrite: (() => void) | undefined
  #callbacks: (() => void)[] = []

  write(bytes: Buffer, onTaken: () => void): void {
    this.written.push(bytes)
    this.onWrite?.()
    if (this.isBlocked) this.#callbacks.push(onTaken)
    else setImmediate(onTaken)
  }

  unblock(): void {
    this.isBlocked = false
    for (const callback of this.#callbacks.splice(0)) callback()
  }

  end(code: number, details: string): void {
    this.ended = { code, details }
  }
}

interface Answer {
  readonly nonce: string
  readonly typeUrl: TypeUrl
  /** `cluster: x=1 y=1 -z`. */
  readonly text: string
}

class World {
  readonly bodies = new BodyCache({ identifier: '', maxBodies: 100, maxBytes: 10_000_000, maxResponseBytes: 20_000 })
  readonly fanOut = new FanOut({
    maxUnflushedBytes: 10_000_000,
    sliceMs: 1000,
    clock: systemClock,
    defer: setImmediate,
  })
  readonly requests = { sotw: new RequestReader('sotw'), delta: new RequestReader('delta') }
  readonly status = new StatusRecorder()
  readonly events: StreamEvent[] = []
  readonly logged: Record<string, unknown>[] = []
  readonly #log = pino(
    { level: 'warn' },
    { write: (line: string) => void this.logged.push(JSON.parse(line) as Record<string, unknown>) },
  )
  readonly #seldom = new SeldomLog(this.#log, systemClock)
  group = 'every node'
  /** Of a world whose sources may know more. */
  barrier: Barrier | undefined
  admission: Admission | undefined
  readonly questions: (() => void)[] = []
  readonly #options: Partial<StreamOptions>
  #watches = new Set<(snapshot: Snapshot, group: Group) => void>()
  #snapshot: Snapshot | undefined

  constructor(options: Partial<StreamOptions> = {}) {
    this.#options = options
  }

  get watches(): number {
    return this.#watches.size
  }

  mayLag(): void {
    const caughtUp = (): Promise<void> => new Promise((resolve) => this.questions.push(resolve))
    this.barrier = new Barrier({ caughtUp, clock: systemClock, log: this.#log })
  }

  async serve(...texts: readonly string[]): Promise<void> {
    await this.serveSnapshot(snapshot(...texts))
  }

  async serveSnapshot(snapshot: Snapshot): Promise<void> {
    this.#snapshot = snapshot
    for (const watch of this.#watches) watch(this.#snapshot, this.#groupNow())
    await vi.advanceTimersByTimeAsync(1)
  }

  #groupNow(): Group {
    return { key: '', label: this.group, selectors: [] }
  }

  connect(protocol: Protocol = 'sotw', kind: Partial<StreamKind> = {}): Client {
    const cache = {
      watch: (_node: unknown, onSnapshot: (snapshot: Snapshot, group: Group) => void) => {
        this.#watches.add(onSnapshot)
        const groupNow = () => this.#groupNow()
        return {
          get group() {
            return groupNow()
          },
          snapshot: this.#snapshot,
          close: () => this.#watches.delete(onSnapshot),
        }
      },
    } as unknown as SnapshotCache
    const call = new FakeCall()
    const stream = new Stream(
      call,
      { protocol, typeUrl: undefined, ...kind },
      {
        cache,
        bodies: this.bodies,
        replies: new ReplyMemo(),
        requests: this.requests,
        fanOut: this.fanOut,
        ...(this.barrier && { barrier: this.barrier }),
        ...(this.admission && { admission: this.admission }),
        clock: systemClock,
        status: this.status,
        log: this.#log,
        seldom: this.#seldom,
        onEvent: (event) => this.events.push(event),
        options: {
          ackWaitMs: { cluster: 1000, other: 5000 },
          transitionTimeoutMs: 10_000,
          drainTimeMs: 0,
          sotwResume: false,
          canSendSecrets: true,
          ...this.#options,
        },
      },
      () => {},
    )
    return new Client(call, stream, protocol)
  }
}

class Client {
  readonly call: FakeCall
  readonly stream: Stream
  readonly #protocol: Protocol
  #taken = 0

  constructor(call: FakeCall, stream: Stream, protocol: Protocol) {
    this.call = call
    this.stream = stream
    this.#protocol = protocol
  }

  /** Subscribes; to all of the type when no names are given. */
  ask(word: ResourceWord, names: readonly string[] = [], more: object = {}): void {
    const field = this.#protocol === 'sotw' ? 'resourceNames' : 'resourceNamesSubscribe'
    this.send({
      node: { id: 'n', ...('node' in more ? (more.node as object) : {}) },
      typeUrl: resourceTypes[word].typeUrl,
      [field]: names,
      ...omitNode(more),
    })
  }

  ack(answer: Answer | undefined, names: readonly string[] = [], error?: string): void {
    if (answer === undefined) throw new Error('there is nothing to acknowledge')
    this.send({
      typeUrl: answer.typeUrl,
      responseNonce: answer.nonce,
      ...(this.#protocol === 'sotw' && { resourceNames: names }),
      ...(error !== undefined && { errorDetail: { message: error } }),
    })
  }

  send(request: object): void {
    const [type] = envelopes[this.#protocol]
    this.stream.receive(Buffer.from(toBinary(type, create(type, request as never))))
  }

  /** What came since the last look. */
  answers(): Answer[] {
    const news = this.call.written.slice(this.#taken)
    this.#taken = this.call.written.length
    return news.map((bytes) => this.#read(bytes))
  }

  texts(): string[] {
    return this.answers().map(({ text }) => text)
  }

  #read(bytes: Buffer): Answer {
    const [, type] = envelopes[this.#protocol]
    const response = fromBinary(type, bytes) as unknown as {
      nonce: string
      typeUrl: string
      removedResources?: string[]
      resources: { value?: Uint8Array; resource?: { value: Uint8Array }; name?: string; typeUrl?: string }[]
    }
    const texts = response.resources.map((resource) => {
      const value = resource.value ?? resource.resource?.value
      if (value === undefined) return `${resource.name}(nothing)`
      const isWrapped = resource.typeUrl?.endsWith('discovery.v3.Resource') === true
      return `${isWrapped ? 'wrapped ' : ''}${isWrapped ? '' : Buffer.from(value).toString().split(' ')[0]}`.trim()
    })
    const removed = (response.removedResources ?? []).map((name) => `-${name}`)
    const text = `${wordOf(response.typeUrl)}: ${[...texts, ...removed].join(' ')}`.trim()
    return { nonce: response.nonce, typeUrl: response.typeUrl, text }
  }
}

function omitNode(more: object): object {
  const { node: _, ...rest } = more as { node?: unknown }
  return rest
}

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

const old = ['cluster x=1 > endpoint x', 'endpoint x=1', 'route r=1 > cluster x', 'listener l=1 > route r'] as const
const moved = ['cluster y=1 > endpoint y', 'endpoint y=1', 'route r=2 > cluster y', 'listener l=1 > route r'] as const

/** An Envoy that has everything of `old` and acknowledged it. */
async function settled(world: World, protocol: Protocol = 'sotw'): Promise<Client> {
  await world.serve(...old)
  const client = world.connect(protocol)
  for (const [word, names] of [
    ['cluster', []],
    ['endpoint', ['x']],
    ['listener', []],
    ['route', ['r']],
  ] as const) {
    client.ask(word, names)
    for (const answer of client.answers()) client.ack(answer, names)
  }
  expect(client.texts()).toEqual([])
  return client
}

describe.each(['sotw', 'delta'] as const)('a transition in %s', (protocol) => {
  const names =
    protocol === 'sotw' ? { union: 'x=1 y=1', y: 'y=1', unsure: 'y=1' } : { union: 'y=1', y: '-x', unsure: 'y=1 -x' }

  test('adds, moves when the clusters are accepted, and removes when the routes are (rules 69–71)', async () => {
    const world = new World()
    const client = await settled(world, protocol)
    await world.serve(...moved)
    const [cds, ...others] = client.answers()
    expect([cds?.text, ...others.map(({ text }) => text)]).toEqual([`cluster: ${names.union}`])
    // Envoy asks for the assignment before it acknowledges: that must not wait for the ACK (rule 71).
    client.ask('endpoint', protocol === 'sotw' ? ['x', 'y'] : ['y'])
    const [eds] = client.answers()
    expect(eds?.text).toBe('endpoint: y=1')
    await vi.advanceTimersByTimeAsync(5000)
    expect(client.texts()).toEqual([])
    client.ack(cds)
    client.ack(eds, ['x', 'y'])
    const [rds] = client.answers()
    expect(rds?.text).toBe('route: r=2')
    await vi.advanceTimersByTimeAsync(5000)
    expect(client.texts()).toEqual([])
    client.ack(rds, ['r'])
    const [removal] = client.answers()
    expect(removal?.text).toBe(`cluster: ${names.y}`)
    client.ack(removal)
    expect(client.texts()).toEqual(protocol === 'sotw' ? [] : ['endpoint: -x'])
  })

  test('goes on without an ACK after the timeout, and says so (rules 71, 77)', async () => {
    const world = new World()
    const client = await settled(world, protocol)
    await world.serve(...moved)
    expect(client.texts()).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(9_900)
    expect(client.texts()).toEqual([])
    await vi.advanceTimersByTimeAsync(200)
    expect(client.texts()).toEqual(['route: r=2'])
    expect(world.logged).toContainEqual(expect.objectContaining({ type: 'cluster', names: ['y'] }))
    await vi.advanceTimersByTimeAsync(10_100)
    // What was never acknowledged is said once more.
    expect(client.texts()[0]).toBe(`cluster: ${names.unsure}`)
  })

  test('says of many clients at once in a few lines that they gave no ACK', async () => {
    const world = new World()
    for (let count = 0; count < 20; count++) await settled(world, protocol)
    await world.serve(...moved)
    await vi.advanceTimersByTimeAsync(10_100)
    const told = world.logged.filter(({ msg }) => String(msg).startsWith('no ACK'))
    expect(told.map(({ type }) => type)).toEqual(Array.from({ length: 5 }, () => 'cluster'))
  })

  test('removes nothing after a rejected route, until that changes', async () => {
    const world = new World()
    const client = await settled(world, protocol)
    await world.serve(...moved)
    client.ack(client.answers()[0])
    client.ack(client.answers()[0], ['r'], 'no such thing')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(client.texts()).toEqual([])
    await world.serve(...moved.map((text) => text.replace('route r=2', 'route r=3')))
    const [rds] = client.answers()
    expect(rds?.text).toBe('route: r=3')
    client.ack(rds, ['r'])
    expect(client.texts()[0]).toBe(`cluster: ${names.y}`)
  })

  test('keeps routes from a rejected cluster, and lets the others go (rule 71)', async () => {
    const world = new World()
    const client = await settled(world, protocol)
    await world.serve(...old, 'cluster good=1', 'cluster bad=1', 'route r=2 > cluster bad')
    const [cds] = client.answers()
    client.ack(cds, [], 'Error adding/updating cluster(s) bad: no')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(client.texts()).toEqual([])
    await world.serve(...old, 'cluster good=1', 'cluster bad=1', 'route r=3 > cluster good')
    expect(client.texts()).toEqual(['route: r=3'])
  })
})

describe('pushes', () => {
  test('wait for the verdict on the last one, at most their time, and then the newest goes', async () => {
    const world = new World()
    const client = await settled(world)
    const others = [old[0], old[2], old[3]]
    await world.serve(...others, 'endpoint x=2')
    expect(client.texts()).toEqual(['endpoint: x=2'])
    await world.serve(...others, 'endpoint x=3')
    await world.serve(...others, 'endpoint x=4')
    expect(client.texts()).toEqual([])
    await vi.advanceTimersByTimeAsync(5000)
    const [late] = client.answers()
    expect(late?.text).toBe('endpoint: x=4')
    client.ack(late, ['x'])
    await world.serve(...others, 'endpoint x=5')
    expect(client.texts()).toEqual(['endpoint: x=5'])
  })

  test('go when their ACK comes', async () => {
    const world = new World()
    const client = await settled(world)
    await world.serve(old[0], old[2], old[3], 'endpoint x=2')
    const [push] = client.answers()
    await world.serve(old[0], old[2], old[3], 'endpoint x=3')
    client.ack(push, ['x'])
    expect(client.texts()).toEqual(['endpoint: x=3'])
  })

  test('do not make answers wait', async () => {
    const world = new World()
    const client = await settled(world)
    await world.serve(...old.slice(0, 1), ...old.slice(2), 'endpoint x=2', 'endpoint z=1')
    expect(client.texts()).toEqual(['endpoint: x=2'])
    client.ask('endpoint', ['x', 'z'])
    expect(client.texts()).toEqual(['endpoint: x=2 z=1'])
  })

  test('of unchanged types are not made', async () => {
    const world = new World()
    const client = await settled(world)
    await world.serve(...old)
    expect(client.texts()).toEqual([])
  })

  test('of rejected content are made once (rule 30)', async () => {
    const world = new World()
    await world.serve('cluster x=1')
    const client = world.connect()
    client.ask('cluster')
    client.ack(client.answers()[0], [], 'no')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(client.texts()).toEqual([])
  })

  test('of a listener that was rejected for its address are made a few times, while nothing that is known is there', async () => {
    const world = new World()
    await world.serveSnapshot(smallView('listener k=1@90', 'listener m=1@80'))
    const client = world.connect('delta')
    client.ask('listener')
    const reason = "m: error adding listener: 'm' has duplicate address '127.0.0.1:80' as existing listener"
    const responses: number[] = []
    for (let minute = 0; minute < 120; minute++) {
      const answers = client.answers()
      responses.push(answers.length)
      for (const answer of answers) client.ack(answer, [], `Error adding/updating listener(s) ${reason}`)
      await vi.advanceTimersByTimeAsync(9_900)
      if (minute === 0) expect(client.texts()).toEqual([])
      await vi.advanceTimersByTimeAsync(200)
    }
    // After 10 s, and each time after twice as long.
    expect(responses.flatMap((count, index) => (count > 0 ? [index] : []))).toHaveLength(7)
    expect(Math.max(...responses)).toBe(1)
    expect(world.logged[0]?.msg).toMatch(/it is sent again when the address is free/)
    await world.serveSnapshot(smallView('listener k=2@90', 'listener m=1@80'))
    const [answer, ...others] = client.answers()
    expect(others).toEqual([])
    client.ack(answer)
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(client.texts()).toEqual([])
  })
})

describe('a push in parts', () => {
  const big = 'x'.repeat(9000)
  const [one, two] = ['1', '2'].map((text) => ['a', 'b', 'c'].map((name) => `endpoint ${name}=${text}${big}`)) as [
    string[],
    string[],
  ]

  test.each(['sotw', 'delta'] as const)(
    'is accepted with its last part; of a rejected part comes again what was not rejected, in %s (rule 19)',
    async (protocol) => {
      const world = new World()
      await world.serve(...one)
      const client = world.connect(protocol)
      client.ask('endpoint', ['a', 'b', 'c'])
      const [first, second, ...none] = client.answers()
      expect([first, second].map((answer) => answer?.text.length)).toEqual([18_017, 9_013])
      expect(none).toEqual([])
      client.ack(first, ['a', 'b', 'c'], 'b is bad')
      client.ack(second, ['a', 'b', 'c'])
      expect(world.events.filter(({ kind }) => kind === 'ack' || kind === 'nack').map(({ kind }) => kind)).toEqual([
        'nack',
        'ack',
      ])
      const [again, ...noMore] = client.answers()
      expect([again?.text.slice(0, 12), again?.text.length, noMore]).toEqual(['endpoint: a=', 9013, []])
      client.ack(again, ['a', 'b', 'c'])
      await world.serve(...one.slice(0, 2), two[2] as string)
      expect(client.texts()).toEqual([`endpoint: c=2${big}`])
    },
  )
})

describe('a changed cluster', () => {
  test.each(['sotw', 'delta'] as const)(
    'brings its unchanged assignment with it in %s (rules 58, 72)',
    async (protocol) => {
      const world = new World()
      const client = await settled(world, protocol)
      await world.serve('cluster x=2 > endpoint x', ...old.slice(1))
      expect(client.texts()).toEqual(['cluster: x=2', 'endpoint: x=1'])
    },
  )

  test('after a reconnect of a delta client brings an assignment that the client has (rule 58)', async () => {
    const world = new World()
    await world.serve('cluster x=2 > endpoint x', 'cluster z=1 > endpoint z', 'endpoint x=1', 'endpoint z=1')
    const versions = (texts: readonly string[]): Record<string, string> =>
      Object.fromEntries(texts.map(resourceOf).map(({ name, version }) => [name, version]))
    const client = world.connect('delta')
    client.ask('cluster', [], {
      initialResourceVersions: versions(['cluster x=1 > endpoint x', 'cluster z=1 > endpoint z']),
    })
    client.ask('endpoint', ['x', 'z'], { initialResourceVersions: versions(['endpoint x=1', 'endpoint z=1']) })
    expect(client.texts()).toEqual(['cluster: x=2', 'endpoint: x=1'])
  })
})

describe('a request repeated after its ACK', () => {
  test('is answered in full (rule 72), though not without end', async () => {
    const world = new World()
    const client = await settled(world)
    client.ask('endpoint', ['x'], { responseNonce: nonceOf(client, 1) })
    expect(client.texts()).toEqual(['endpoint: x=1'])
    let answers = 0
    for (let turn = 0; turn < 500; turn++) {
      // A client that says everything twice: the ACK, and the ACK again.
      const responseNonce = nonceOf(client, -1)
      client.ask('endpoint', ['x'], { responseNonce })
      client.ask('endpoint', ['x'], { responseNonce })
      answers += client.texts().length
    }
    expect(answers).toBeLessThan(60)
    expect(world.events.filter(({ kind }) => kind === 'warning')).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1000)
    client.ask('endpoint', ['x'], { responseNonce: nonceOf(client, -1) })
    expect(client.texts()).toEqual(['endpoint: x=1'])
  })
})

/** Of the response at that place. */
function nonceOf(client: Client, index: number): string {
  return (fromBinary(envelopes.sotw[1], client.call.written.at(index) as Buffer) as unknown as { nonce: string }).nonce
}

describe('a thousand clients', () => {
  test('that reject one resource are told of in five lines, and then in one a minute', async () => {
    const world = new World()
    await world.serve('cluster a=1', 'cluster b=1')
    const clients = Array.from({ length: 1000 }, () => world.connect())
    for (const client of clients) {
      client.ask('cluster')
      client.ack(client.answers()[0], [], 'Error adding/updating cluster(s) b: no')
    }
    const told = () => world.logged.filter(({ name }) => name === 'b').map(({ count }) => count)
    expect(told()).toEqual(Array.from({ length: 5 }))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(told().slice(5)).toEqual([995])
  })

  test.each<[string, string, (client: Client) => void]>([
    ['warn of the same', 'client warning', (client) => client.ask('virtualHost', ['rc/a'])],
    ['are refused for the same', 'stream refused', (client) => client.send({ node: { id: '' } })],
  ])('that %s do so in five lines, and then in one a minute', async (_, message, act) => {
    const world = new World()
    await world.serve('cluster a=1')
    for (let index = 0; index < 1000; index++) act(world.connect())
    const other = world.connect()
    other.send({ node: { id: 'n' }, typeUrl: 'foo.Bar' })
    const told = () => world.logged.filter(({ msg }) => msg === message)
    expect(told().filter(({ warning }) => !/foo.Bar/.test(String(warning)))).toHaveLength(5)
    expect(world.logged.filter(({ warning }) => /foo.Bar/.test(String(warning)))).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(told().filter(({ count }) => count !== undefined)).toMatchObject([{ count: 995 }])
  })

  test.each(['sotw', 'delta'] as const)('of %s share the bytes of every answer and push', async (protocol) => {
    const world = new World()
    await world.serve(...old)
    const clients = Array.from({ length: 1000 }, () => world.connect(protocol))
    for (const client of clients) {
      client.ask('cluster')
      client.ask('endpoint', ['x'])
    }
    expect(world.bodies.builds).toBe(2)
    for (const client of clients)
      for (const answer of client.answers()) client.ack(answer, answer.text.startsWith('endpoint') ? ['x'] : [])
    await world.serve(old[0], 'endpoint x=2', ...old.slice(2))
    expect(world.bodies.builds).toBe(3)
    expect(new Set(clients.map(({ call }) => call.written.at(-1))).size).toBe(1)
    expect(clients.every((client) => client.texts().join() === 'endpoint: x=2')).toBe(true)
  })
})

describe('a socket that takes nothing', () => {
  test('is told only the newest when it takes something again (rules 79, 80)', async () => {
    const world = new World()
    const big = 'x'.repeat(100_000)
    await world.serve(`cluster a=${big}`)
    const client = world.connect()
    client.call.isBlocked = true
    client.ask('cluster')
    expect(client.answers()).toHaveLength(1)
    client.ask('endpoint', ['a', 'b'])
    for (let change = 0; change < 20; change++)
      await world.serve(`cluster a=${change}${big}`, `endpoint a=${change}`, 'endpoint b=1')
    client.ask('endpoint', ['a'])
    expect(client.texts()).toEqual([])
    client.call.unblock()
    await vi.advanceTimersByTimeAsync(1000)
    expect(client.texts().map((text) => text.slice(0, 20))).toEqual(['endpoint: a=19', 'cluster: a=19xxxxxxx'])
  })

  test('keeps nobody else from being told', async () => {
    const world = new World()
    const big = 'x'.repeat(11_000_000)
    await world.serve(`cluster a=${big}`, 'cluster b=1')
    const dead = world.connect()
    dead.call.isBlocked = true
    dead.ask('cluster', ['a'])
    const other = world.connect()
    other.ask('cluster', ['b'])
    expect(other.texts()).toEqual([])
    await vi.advanceTimersByTimeAsync(1100)
    expect(other.texts()).toEqual(['cluster: b=1'])
    dead.stream.cancel('cancelled')
    expect(world.fanOut.unflushedBytes).toBe(0)
  })
})

describe('a stream', () => {
  test('takes an ACK that comes within the write (rule 12)', async () => {
    const world = new World()
    await world.serve('cluster a=1')
    const client = world.connect()
    client.call.onWrite = () => client.ack(client.answers()[0])
    client.ask('cluster')
    expect(world.events.filter(({ kind }) => kind === 'ack')).toHaveLength(1)
  })

  test('is answered nothing while there is nothing to serve, and then what it asked (rule 104)', async () => {
    const world = new World()
    const client = world.connect()
    client.ask('cluster')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(client.texts()).toEqual([])
    await world.serve('cluster a=1')
    expect(client.texts()).toEqual(['cluster: a=1'])
  })

  test.each(['sotw', 'delta'] as const)(
    'gets an empty answer to its first wildcard when there is nothing, in %s (rules 34, 59)',
    async (protocol) => {
      const world = new World()
      await world.serve()
      const client = world.connect(protocol)
      client.ask('listener')
      client.ask('cluster')
      expect(client.texts()).toEqual(['listener:', 'cluster:'])
    },
  )

  test('with a type that nobody knows lives on (rules 17, 106)', async () => {
    const world = new World()
    await world.serve('cluster a=1')
    const client = world.connect()
    client.send({ node: { id: 'n' }, typeUrl: 'foo.Bar' })
    client.ask('cluster')
    expect(client.texts()).toEqual(['foo.Bar:', 'cluster: a=1'])
    expect(world.events.filter(({ kind }) => kind === 'warning')).toHaveLength(1)
  })

  test('is answered of a hundred types that nobody knows, warned once of the rest, and lives on', async () => {
    const world = new World()
    await world.serve('cluster a=1')
    const client = world.connect()
    for (let index = 0; index < 200; index++) client.send({ node: { id: 'n' }, typeUrl: `foo.Bar${index}` })
    client.ask('cluster')
    expect(client.texts()).toEqual([...Array.from({ length: 100 }, (_, index) => `foo.Bar${index}:`), 'cluster: a=1'])
    expect(world.events.filter(({ kind }) => kind === 'warning')).toHaveLength(101)
  })

  test('says back no more than the beginning of a type that it refuses', () => {
    const client = new World().connect('sotw', { typeUrl: 'y' })
    client.send({ node: { id: 'n' }, typeUrl: 'x'.repeat(10_000) })
    expect(client.call.ended?.details).toMatch(/^type_url is x{200}, but/)
  })

  test('does not send secrets where others can read them, and says so once (rule 53)', async () => {
    const world = new World({ canSendSecrets: false })
    await world.serve('secret s=key', 'secret t=key', 'cluster a=1')
    const client = world.connect('delta')
    client.ask('secret', ['s', 'gone'])
    client.ask('secret', ['t'])
    client.ask('cluster')
    expect(client.texts()).toEqual(['secret: -gone', 'cluster: a=1'])
    expect(world.events.filter(({ kind }) => kind === 'warning').length).toBeGreaterThan(0)
  })

  test('of VHDS over SotW is told that this needs delta, and lives on (rule 65)', async () => {
    const world = new World()
    await world.serve('cluster a=1')
    const client = world.connect()
    client.ask('virtualHost', ['rc/a'])
    client.ask('cluster')
    expect(client.texts()).toEqual(['cluster: a=1'])
  })

  test('of VHDS starts with no virtual host for each of its route configurations (rule 46)', async () => {
    const world = new World()
    await world.serve('route rc=1', 'virtualHost rc/a=1')
    const client = world.connect('delta')
    client.ask('route', ['rc'])
    client.ask('virtualHost')
    client.ask('virtualHost', ['rc/a', 'rc/b'])
    expect(client.texts()).toEqual(['route: rc=1', 'virtualHost: -rc/-', 'virtualHost: rc/b(nothing) rc/a=1'])
  })

  test('wraps what has a TTL for a client that knows the wrapper (rule 81)', async () => {
    const world = new World()
    await world.serve('cluster a=ttl5000', 'cluster b=1')
    const [plain, knowing] = [world.connect(), world.connect()]
    plain.ask('cluster')
    knowing.ask('cluster', [], { node: { clientFeatures: ['xds.config.resource-in-sotw'] } })
    expect(plain.texts()).toEqual(['cluster: a=ttl5000 b=1'])
    expect(knowing.texts()).toEqual(['cluster: wrapped b=1'])
  })

  test('with the option skips the first answer of a version that the client has (rule 32)', async () => {
    const world = new World({ sotwResume: true })
    await world.serve('cluster a=1', 'endpoint a=1')
    const versionInfo = (typeUrl: TypeUrl): string => {
      const first = world.connect()
      first.ask(wordOf(typeUrl) as ResourceWord, ['*'])
      return (fromBinary(envelopes.sotw[1], first.call.written[0] as Buffer) as unknown as { versionInfo: string })
        .versionInfo
    }
    const client = world.connect()
    client.ask('cluster', [], { versionInfo: versionInfo(resourceTypes.cluster.typeUrl) })
    client.ask('endpoint', ['a'], { versionInfo: versionInfo(resourceTypes.endpoint.typeUrl) })
    expect(client.texts()).toEqual(['endpoint: a=1'])
    await world.serve('cluster a=2')
    expect(client.texts()).toEqual(['cluster: a=2'])
  })

  test.each<[title: string, end: (stream: Stream) => void]>([
    ['its client', (stream) => stream.halfClose()],
    ['a reset', (stream) => stream.cancel('cancelled')],
    ['the server', (stream) => stream.end('enough')],
  ])('that is ended by %s lets go of everything, once (rule 16)', async (_, end) => {
    const world = new World()
    const client = await settled(world)
    await world.serve(...moved)
    end(client.stream)
    client.stream.cancel('closed')
    expect(world.watches).toBe(0)
    expect(world.events.filter(({ kind }) => kind === 'close')).toHaveLength(1)
    await world.serve(...old)
    expect(vi.getTimerCount()).toBe(0)
  })

  test.each<[title: string, request: object, kind: Partial<StreamKind>, message: string]>([
    ['without a node', { typeUrl: 'x' }, {}, 'node is missing'],
    ['with an empty node.id', { typeUrl: 'x', node: { cluster: 'c' } }, {}, 'node.id is empty'],
    ['without a type on ADS', { node: { id: 'n' } }, {}, 'type_url is missing'],
    ['with another type than its service', { node: { id: 'n' }, typeUrl: 'x' }, { typeUrl: 'y' }, 'type_url is x'],
  ])('%s is refused with INVALID_ARGUMENT (rules 2, 4)', (_, request, kind, message) => {
    const world = new World()
    const client = world.connect('sotw', kind)
    client.send(request)
    expect(client.call.ended).toEqual({ code: 3, details: expect.stringContaining(message) })
    expect(world.watches).toBe(0)
  })

  test('of broken bytes is refused, alone (rule 106)', () => {
    const world = new World()
    const client = world.connect()
    client.stream.receive(Buffer.from('0aff', 'hex'))
    expect(client.call.ended).toMatchObject({ code: 3 })
  })

  test('tells when its node is in another group than at first', async () => {
    const world = new World()
    world.group = 'nothing'
    world.connect().ask('cluster')
    const told = () => world.events.flatMap((event) => ('group' in event ? [`${event.kind} ${event.group}`] : []))
    expect(told()).toEqual(['node nothing'])
    world.group = 'cluster=edge'
    await world.serve('cluster a=1')
    await world.serve('cluster a=2')
    expect(told()).toEqual(['node nothing', 'group cluster=edge'])
  })

  test('stays with its first node (rule 3)', async () => {
    const world = new World()
    await world.serve('cluster a=1')
    const client = world.connect()
    client.ask('cluster')
    client.send({ node: { id: 'other' }, typeUrl: resourceTypes.listener.typeUrl })
    expect(client.texts()).toEqual(['cluster: a=1', 'listener:'])
    expect(world.events.filter(({ kind }) => kind === 'node')).toHaveLength(1)
    expect(world.events.filter(({ kind }) => kind === 'warning')).toHaveLength(1)
  })
})

describe.each(['sotw', 'delta'] as const)('a client that is held back in %s (rule 87)', (protocol) => {
  const has = (versions: Readonly<Record<string, string>>): object =>
    protocol === 'sotw' ? { versionInfo: Object.values(versions).join() } : { initialResourceVersions: versions }

  async function lagging(...texts: readonly string[]): Promise<World> {
    const world = new World()
    world.mayLag()
    await world.serve(...texts)
    return world
  }

  test('is heard in the order in which it spoke, once it may be answered', async () => {
    const world = await lagging('cluster x=1', 'endpoint e=1', 'endpoint f=1', 'listener l=1')
    const client = world.connect(protocol)
    client.ask('cluster', [], has({ x: 'newer' }))
    client.ask('endpoint', ['e'])
    if (protocol === 'sotw') client.ask('endpoint', ['f'])
    else {
      const { typeUrl } = resourceTypes.endpoint
      client.send({ typeUrl, resourceNamesSubscribe: ['f'], resourceNamesUnsubscribe: ['e'] })
    }
    await vi.advanceTimersByTimeAsync(60_000)
    expect(client.texts()).toEqual([])
    expect(world.logged.map(({ msg }) => msg)).toEqual([expect.stringContaining('held back')])
    world.questions[0]?.()
    await vi.advanceTimersByTimeAsync(1)
    expect(client.texts()).toEqual(['cluster: x=1', 'endpoint: f=1'])
    expect(world.status.nodes()[0]).not.toHaveProperty('heldBackSince')
    expect([world.barrier?.held, world.barrier?.doubting]).toEqual([0, 0])
    await world.serve('cluster x=2', 'endpoint e=1', 'endpoint f=1', 'listener l=1')
    await vi.advanceTimersByTimeAsync(2_000)
    expect(client.texts()[0]).toBe('cluster: x=2')
  })

  test('speaks again before its turn, and is heard after what it said before', async () => {
    const world = await lagging('cluster x=1', 'listener l=1')
    const client = world.connect(protocol)
    client.ask('cluster', [], has({ x: 'newer' }))
    world.questions[0]?.()
    await Promise.resolve()
    await Promise.resolve()
    client.ask('listener')
    await vi.advanceTimersByTimeAsync(1)
    expect(client.texts()).toEqual(['cluster: x=1', 'listener: l=1'])
  })

  test.each(['cancel', 'halfClose', 'end'] as const)('leaves nothing behind when it goes: %s', async (how) => {
    const world = await lagging('cluster x=1')
    world.admission = new Admission({ maxEntering: 1, holdMs: 1000, clock: systemClock })
    const client = world.connect(protocol)
    client.ask('cluster', [], has({ x: 'newer' }))
    expect(world.barrier?.held).toBe(1)
    client.stream[how]('gone')
    expect([world.barrier?.held, world.barrier?.doubting, world.watches]).toEqual([0, 0, 0])
    expect([world.admission.entering, world.admission.waiting]).toEqual([0, 0])
    world.questions[0]?.()
    await vi.advanceTimersByTimeAsync(1)
    expect(client.texts()).toEqual([])
  })

  test('gives back the place that it had before it said what it has, and takes another to be answered', async () => {
    const world = await lagging('cluster x=1', 'listener l=1')
    const admission = new Admission({ maxEntering: 1, holdMs: 1000, clock: systemClock })
    world.admission = admission
    const client = world.connect(protocol)
    client.ask('cluster')
    expect(client.texts()).toEqual(['cluster: x=1'])
    expect(admission.entering).toBe(1)
    client.ask('listener', [], has({ l: 'newer' }))
    expect([admission.entering, world.barrier?.held]).toEqual([0, 1])
    world.questions[0]?.()
    await vi.advanceTimersByTimeAsync(1)
    expect(client.texts()).toEqual(['listener: l=1'])
    expect(admission.entering).toBe(1)
  })

  test('is sent away when it says more than a client has to say', async () => {
    const world = await lagging('cluster x=1')
    const client = world.connect(protocol)
    client.ask('cluster', [], has({ x: 'newer' }))
    for (let count = 1; count < maxUnheard; count++) client.ask('endpoint', [`e${count}`])
    expect(client.call.ended).toBeUndefined()
    client.ask('endpoint', ['more'])
    expect(client.call.ended).toMatchObject({ code: 8 })
    expect([world.barrier?.held, world.watches]).toEqual([0, 0])
  })

  test('is told the newest of what was in force meanwhile', async () => {
    const world = await lagging('cluster x=1')
    const client = world.connect(protocol)
    client.ask('cluster', [], has({ x: 'newer' }))
    await vi.advanceTimersByTimeAsync(1)
    expect([client.texts(), world.barrier?.held]).toEqual([[], 1])
    await world.serve('cluster x=2')
    expect([client.texts(), world.barrier?.held]).toEqual([[], 1])
    world.questions[0]?.()
    await vi.advanceTimersByTimeAsync(1)
    expect(client.texts()).toEqual(['cluster: x=2'])
  })
})
