/** The resources that a case speaks of: what is given, and what is expected. */
import { isMap, isScalar } from 'yaml'
import { nearestName } from '../../src/resource/json/near-name.ts'
import { messageNames } from '../support/xds-names.ts'
import type { Expected, ExpectedByType, ExpectedOfType, World } from './case.ts'
import { kinds, type ResourceSpec } from './kinds.ts'
import { type Entry, expandRange, isPresent, plainText, YamlReader } from './yaml-reader.ts'

const typeWords = Object.keys(messageNames)

export class ResourceReader extends YamlReader {
  protected type(node: unknown): string {
    return this.checkedType(this.text(node, 'a type'), node)
  }

  protected typeKey([text, { key }]: readonly [string, Entry]): string {
    return this.checkedType(text, key)
  }

  /** A word, or the name of a message that nobody knows. */
  protected checkedType(text: string, node: unknown): string {
    if (typeWords.includes(text) || text.includes('.')) return text
    const near = nearestName(text, typeWords)
    this.fail(node, `there is no type \`${text}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`)
    return text
  }

  /** Lists are resources of the group `edge`, maps are groups. */
  protected world(node: unknown): World {
    const world: Record<string, readonly ResourceSpec[]> = { edge: [] }
    if (!isPresent(node)) return world
    const own: [string, Entry][] = []
    for (const [name, entry] of this.entries(node, '`given`')) {
      if (!isMap(entry.value)) own.push([name, entry])
      else world[name] = [...this.entries(entry.value, `the group ${name}`)].flatMap((one) => this.specs(one))
    }
    world['edge'] = [...(world['edge'] ?? []), ...own.flatMap((entry) => this.specs(entry))]
    return world
  }

  protected specs([kind, { key, value }]: readonly [string, Entry]): readonly ResourceSpec[] {
    const known = kinds[kind]
    if (known === undefined) {
      const near = nearestName(kind, Object.keys(kinds))
      this.fail(key, `there is no kind \`${kind}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`)
      return []
    }
    return this.items(value, 'resources').flatMap((item) => {
      const specs = this.spec(kind, item)
      for (const { name, targets } of specs) {
        if (targets.length < known.targets) {
          this.fail(
            item,
            `a ${kind} names ${known.targets === 1 ? 'another' : 'two'}: \`${name} -> x${known.targets > 1 ? ' + y' : ''}\``,
          )
        }
      }
      return specs
    })
  }

  protected spec(kind: string, node: unknown): readonly ResourceSpec[] {
    if (!isMap(node)) {
      const text = this.text(node, 'a resource')
      return this.specOfText(kind, text, node)
    }
    const fields = this.plain(node) as Record<string, unknown>
    const known = ['name', 'ttl', 'aliases', 'size', 'fields']
    for (const key of Object.keys(fields))
      if (!known.includes(key)) this.fail(node, `a resource has no \`${key}\` here`)
    const padding = fields['size'] === undefined ? {} : paddingOf(kind, this.bytes(node, plainText(fields['size'])))
    return this.specOfText(kind, plainText(fields['name']), node).map((spec) => ({
      ...spec,
      fields: { ...padding, ...(fields['fields'] as object | undefined) },
      ...(fields['ttl'] !== undefined && { ttl: plainText(fields['ttl']) }),
      aliases: (fields['aliases'] as string[] | undefined) ?? [],
    }))
  }

  protected specOfText(kind: string, text: string, node: unknown): readonly ResourceSpec[] {
    const [, names, revision, targets] = /^(\S+?)(?:@(\d+))?(?: -> (.+))?$/.exec(text) ?? []
    if (names === undefined) {
      this.fail(node, `a resource is \`NAME\`, \`NAME@2\` or \`NAME -> OTHER\`, not \`${text}\``)
      return []
    }
    return expandRange(names).map((name) => ({
      kind,
      name,
      revision: Number(revision ?? 1),
      targets: targets?.split(' + ') ?? [],
      fields: {},
      aliases: [],
    }))
  }

  /** Keys are types, or kinds where the content is no other's. */
  protected expected(node: unknown): ExpectedByType {
    const expected: Record<string, ExpectedOfType> = {}
    for (const [word, { key, value }] of this.entries(node, 'what is expected')) {
      const type = kinds[word]?.type ?? this.checkedType(word, key)
      const kind = kinds[word] === undefined ? 'extension' : word
      const before = expected[type] ?? { resources: [], removed: [] }
      const resources: Expected[] = [...before.resources]
      const removed: string[] = [...before.removed]
      for (const item of this.items(value, 'resources')) {
        const gone = isScalar(item) ? /^removed (\S+)$/.exec(this.substituted(plainText(item.value))) : null
        if (gone?.[1] !== undefined) removed.push(...expandRange(gone[1]))
        else resources.push(...this.expectedOf(kind, word, item))
      }
      expected[type] = { resources, removed }
    }
    return expected
  }

  protected expectedOf(kind: string, word: string, node: unknown): readonly Expected[] {
    const fields = isMap(node) ? (this.plain(node) as Record<string, unknown>) : {}
    for (const key of Object.keys(fields)) {
      if (!['name', 'aliases', 'body', 'wrapped', 'ttl'].includes(key))
        this.fail(node, `nothing is expected of \`${key}\``)
    }
    const text = isMap(node) ? plainText(fields['name']) : this.text(node, 'a resource')
    const { wrapped, ttl } = fields
    return this.specOfText(kind, text, node).map((spec) => ({
      spec,
      isExplicit: /@\d| -> /.test(text) || word === 'emptyEndpoint',
      aliases: (fields['aliases'] as string[] | undefined) ?? [],
      body: this.body(node, fields['body']),
      ...(typeof wrapped === 'boolean' && { isWrapped: wrapped }),
      ...(ttl !== undefined && { ttlMs: ttl === 'none' ? null : Number.parseFloat(plainText(ttl)) * 1000 }),
    }))
  }

  protected body(node: unknown, said: unknown = 'some'): Expected['body'] {
    if (said === 'none' || said === 'any' || said === 'some') return said
    this.fail(node, '`body` is none, some or any')
    return 'some'
  }

  protected bytes(node: unknown, text: string): number {
    const [, number, unit] = /^(\d+) ?(kB|MiB)?$/.exec(text) ?? []
    if (number === undefined) this.fail(node, `a size is \`100kB\` or \`4MiB\`, not \`${text}\``)
    return Number(number ?? 0) * (unit === 'MiB' ? 1024 * 1024 : unit === 'kB' ? 1000 : 1)
  }
}

/** A field that Envoy only stores, so long. */
function paddingOf(kind: string, bytes: number): Readonly<Record<string, unknown>> {
  const pad = 'x'.repeat(bytes)
  if (kinds[kind]?.type === 'endpoint') return { named_endpoints: { [pad]: {} } }
  return kinds[kind]?.type === 'cluster' ? { alt_stat_name: pad } : { stat_prefix: pad }
}
