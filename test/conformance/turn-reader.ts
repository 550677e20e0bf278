/** The turns of a case. */
import { isMap, isScalar, isSeq, type Node } from 'yaml'
import { nearestName } from '../../src/resource/json/near-name.ts'
import type { Act, NamesByType, Protocol, Reply, Says, Turn } from './case.ts'
import { ResourceReader } from './resource-reader.ts'
import { expandRange, isPresent, plainText } from './yaml-reader.ts'

const modifierKeys = ['then', 'over', 'within']
const turnForms = [
  'given',
  'NAME subscribes',
  'NAME unsubscribes',
  'NAME resumes',
  'NAME says',
  'NAME accepts',
  'NAME rejects',
  'NAME reconnects',
  'NAME leaves',
  'NAME takes what comes',
  'NAME has',
  'server sends',
  'server sends only',
  'server sends first',
  'server is silent',
  'server ends the stream',
]

export class TurnReader extends ResourceReader {
  protected clients: readonly string[] = []

  protected turn(node: unknown, protocol: Protocol): readonly Turn[] {
    const entries = isScalar(node)
      ? new Map([[this.key(node), { key: node, value: undefined }]])
      : this.entries(node, 'a turn')
    const over = entries.get('over')
    if (over !== undefined && !this.protocols(over.value).includes(protocol)) return []
    const main = [...entries].filter(([key]) => !modifierKeys.includes(key))
    const [first] = main
    if (first === undefined || main.length > 1) {
      this.fail(node, `a turn has one thing to say, and may have ${modifierKeys.map((key) => `\`${key}\``).join(', ')}`)
      return []
    }
    const [said, { key, value }] = first
    const turn = this.spoken(said, value, key)
    if (turn === undefined) return []
    for (const modifier of ['then', 'within']) {
      const entry = entries.get(modifier)
      const isGood = turn.kind === 'send' || (turn.kind === 'have' && modifier === 'within')
      if (entry !== undefined && !isGood) this.fail(entry.key, `\`${modifier}\` goes with what a server sends`)
    }
    const then = entries.get('then')
    const within = entries.get('within')
    const modified = {
      ...turn,
      ...(then && { reply: this.reply(then.value) }),
      ...(within && { withinMs: this.milliseconds(within.value) }),
    }
    return [{ ...modified, place: this.place(key), text: textOf(node) } as Turn]
  }

  protected spoken(said: string, value: unknown, key: unknown): Act | undefined {
    if (said === 'given') return { kind: 'given', world: this.world(value) }
    const server = /^server (sends only|sends first|sends|is silent|ends the stream)(?: (?:to|of) (\S+))?$/.exec(said)
    if (server !== null) return this.byServer(String(server[1]), this.client(server[2] ?? 'client', key), value)
    const client =
      /^(\S+) (subscribes|unsubscribes|resumes|says|accepts|rejects|reconnects|leaves|has|takes what comes)$/.exec(
        said,
      ) ?? []
    const [, who, verb] = client
    if (who !== undefined && verb !== undefined) return this.byClient(verb, this.client(who, key), value)
    const near = nearestName(said.replace(/^(?!server\b)\S+ /, 'NAME '), turnForms)
    this.fail(key, `no turn is called \`${said}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`)
    return undefined
  }

  protected byServer(verb: string, client: string, value: unknown): Act {
    if (verb === 'is silent')
      return { kind: 'silent', client, ...(isPresent(value) && { types: this.typeList(value) }) }
    if (verb === 'ends the stream') return { kind: 'end', client, codes: this.texts(value, 'the status') }
    return {
      kind: 'send',
      client,
      expected: this.expected(value),
      isOnly: verb === 'sends only',
      isFirst: verb === 'sends first',
      reply: { kind: 'accept' },
    }
  }

  protected byClient(verb: string, client: string, value: unknown): Act | undefined {
    switch (verb) {
      case 'subscribes':
        return { kind: 'subscribe', client, names: this.names(value) }
      case 'unsubscribes':
        return { kind: 'unsubscribe', client, names: this.names(value) }
      case 'resumes':
        return { kind: 'resume', client, names: this.names(value) }
      case 'says':
        return { kind: 'say', client, says: this.says(value) }
      case 'accepts':
        return { kind: 'accept', client, type: this.type(value) }
      case 'rejects': {
        const [entry] = this.entries(value, 'a rejection')
        if (entry !== undefined) {
          return { kind: 'reject', client, type: this.typeKey(entry), message: this.text(entry[1].value, 'why') }
        }
        this.fail(value, 'say what is rejected, and why: `{cluster: a is bad}`')
        return undefined
      }
      case 'has':
        return { kind: 'have', client, expected: this.expected(value) }
      case 'takes what comes':
        return { kind: 'take', client }
      default:
        return { kind: verb === 'leaves' ? 'leave' : 'reconnect', client }
    }
  }

  protected protocols(node: unknown): readonly Protocol[] {
    return this.texts(node, '`over`').flatMap((text): Protocol[] => {
      if (text === 'sotw' || text === 'delta') return [text]
      this.fail(node, `\`over\` is sotw or delta, not \`${text}\``)
      return []
    })
  }

  protected client(name: string, node: unknown): string {
    if (!this.clients.includes(name)) this.fail(node, `there is no client \`${name}\`; name it in \`clients\``)
    return name
  }

  protected reply(node: unknown): Reply {
    if (isMap(node)) {
      const entries = this.entries(node, '`then`', ['reject'])
      const names = this.texts(entries.get('reject')?.value, 'what is rejected')
      return { kind: 'reject', message: `Error adding/updating TYPE(s) ${names.join(', ')}: no such thing`, names }
    }
    const text = this.text(node, '`then`')
    if (text === 'accept' || text === 'wait') return { kind: text }
    if (text === 'reject') return { kind: 'reject', message: 'rejected by a client of the conformance suite' }
    this.fail(node, 'after what a server sends, a client does `accept`, `reject` or `wait`')
    return { kind: 'accept' }
  }

  protected milliseconds(node: unknown): number {
    const [, number] = /^(\d+)ms$/.exec(this.text(node, '`within`')) ?? []
    if (number === undefined) this.fail(node, '`within` is a time like `1500ms`')
    return Number(number ?? 0)
  }

  protected typeList(node: unknown): readonly string[] {
    return isSeq(node) ? node.items.map((item) => this.type(item)) : [this.type(node)]
  }

  protected names(node: unknown): NamesByType {
    const entries = [...this.entries(node, 'what is subscribed')]
    return Object.fromEntries(
      entries.map((entry) => {
        return [this.typeKey(entry), this.texts(entry[1].value, 'names').flatMap(expandRange)]
      }),
    )
  }

  protected says(node: unknown): Says {
    const entries = this.entries(node, 'what a client says')
    const { type, node: who, ...fields } = this.plain(node) as Record<string, unknown>
    return {
      ...(type !== undefined && { type: this.checkedType(plainText(type), entries.get('type')?.value) }),
      ...(who !== undefined && { node: this.node(who, entries.get('node')?.value) }),
      fields,
    }
  }

  protected node(said: unknown, node: unknown): Record<string, unknown> | string {
    if (typeof said !== 'string') return (said ?? {}) as Record<string, unknown>
    return said === 'none' ? said : this.client(said, node)
  }
}

/** A turn on one line. */
function textOf(node: unknown): string {
  const value = (node as Node).toJSON() as unknown
  if (typeof value === 'string') return value
  return Object.entries(value as object)
    .map(([key, one]) => (one === null ? key : `${key}: ${flow(one)}`))
    .join('  ')
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = Object.entries(value).map(([key, one]) => `${key}: ${flow(one)}`)
  return `{${entries.join(', ')}}`
}
