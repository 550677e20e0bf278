/** Reads files of cases. What is wrong with them is told all at once, each with its file, line and column. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Case, type ClientSpec, levels, nameOf, type Protocol, protocols } from './case.ts'
import { TurnReader } from './turn-reader.ts'
import type { Entries, Variables } from './yaml-reader.ts'

/** A file's cases, under the name of its part. */
export interface Part {
  readonly title: string
  readonly cases: readonly Case[]
}

/** The files do not say what they should; the message has a line for each mistake. */
export class CaseFileError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'CaseFileError'
    this.problems = problems
  }
}

/** All files `*.yaml` of a directory, by name. @throws CaseFileError */
export function readCases(directory: string): readonly Part[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'))
  return readParts(files.sort().map((file) => ({ file, text: readFileSync(join(directory, file), 'utf8') })))
}

/** @throws CaseFileError */
export function readParts(files: readonly { readonly file: string; readonly text: string }[]): readonly Part[] {
  const readers = files.map(({ file, text }) => new CaseReader(file, text))
  const parts = readers.map((reader) => reader.part())
  const problems = readers.flatMap((reader) => reader.problems)
  const seen = new Map<string, Case>()
  for (const one of parts.flatMap(({ cases }) => cases)) {
    const before = seen.get(nameOf(one))
    seen.set(nameOf(one), one)
    const { file, line } = one.place
    if (before) problems.push(`${file}:${line}: the title is that of ${before.place.file}:${before.place.line}, too`)
  }
  if (problems.length > 0) throw new CaseFileError(problems)
  return parts
}

const caseKeys = [...levels, 'rule', 'over', 'each', 'service', 'clients', 'turns']
const clientKeys = ['group', 'id of', 'user agent', 'features', 'takes at most']

class CaseReader extends TurnReader {
  part(): Part {
    const none = { title: this.file, cases: [] }
    if (this.problems.length > 0) return none
    const entries = this.entries(this.root, 'a file of cases', ['part', 'cases'])
    const title = entries.get('part')
    const list = entries.get('cases')
    const told = this.problems.length
    const cases = this.items(list?.value, '`cases`').flatMap((item) => this.cases(item))
    return {
      title: this.text(title?.value, '`part`'),
      cases: this.problems.length > told ? [] : cases,
    }
  }

  /** One as it is written is several: for each protocol, and for each value of its variables. */
  protected cases(node: unknown): readonly Case[] {
    this.variables = {}
    const entries = this.entries(node, 'a case', caseKeys)
    const over = entries.get('over')
    const spoken = over === undefined ? protocols : this.protocols(over.value)
    const read: Case[] = []
    for (const variables of this.environments(entries.get('each')?.value)) {
      for (const protocol of spoken) {
        this.variables = variables
        const told = this.problems.length
        const one = this.case(node, entries, protocol)
        if (one !== undefined && this.problems.length === told) read.push(one)
        // The same mistake in another protocol is the same mistake.
        if (this.problems.length > told) return []
      }
    }
    return read
  }

  protected environments(node: unknown): readonly Variables[] {
    if (node === undefined) return [{}]
    const entries = this.entries(node, '`each`')
    let all: readonly Variables[] = [{}]
    for (const [name, { value }] of entries) {
      const values = this.texts(value, `\`${name}\``)
      all = all.flatMap((variables) => values.map((text) => ({ ...variables, [name]: text })))
    }
    return all
  }

  protected case(node: unknown, entries: Entries, protocol: Protocol): Case | undefined {
    const said = levels.filter((level) => entries.has(level))
    const [level] = said
    if (level === undefined || said.length > 1) {
      this.fail(node, `a case says ${levels.map((one) => `\`${one}\``).join(' or ')}, one of them, and its title`)
      return undefined
    }
    const title = this.text(entries.get(level)?.value, `the title`)
    const rules = entries.get('rule')
    const turns = entries.get('turns')
    if (rules === undefined || turns === undefined) {
      this.fail(node, rules === undefined ? 'a case cites its `rule`' : 'a case has `turns`')
      return undefined
    }
    const clients = this.readClients(entries.get('clients')?.value)
    this.clients = Object.keys(clients)
    const service = entries.get('service')
    const read: Case = {
      level,
      title: title,
      rules: this.rules(rules.value),
      protocol,
      service: service === undefined ? 'ads' : this.type(service.value),
      clients,
      turns: this.items(turns.value, '`turns`').flatMap((item) => this.turn(item, protocol)),
      place: this.place(node),
    }
    if (read.turns[0]?.kind !== 'given') this.fail(turns.value, 'the first turn is a `given`')
    return read
  }

  protected rules(node: unknown): readonly number[] {
    return this.texts(node, '`rule`').flatMap((text) => {
      if (/^\d+$/.test(text)) return [Number(text)]
      this.fail(node, `a rule is a number, not \`${text}\``)
      return []
    })
  }

  protected readClients(node: unknown): Readonly<Record<string, ClientSpec>> {
    const clients: Record<string, ClientSpec> = { client: { group: 'edge', features: [] } }
    if (node === undefined) return clients
    const entries = this.entries(node, '`clients`')
    for (const [name, { value }] of entries) {
      const fields = this.entries(value, `the client ${name}`, clientKeys)
      const text = (key: string): string | undefined => {
        const entry = fields.get(key)
        return entry === undefined ? undefined : this.text(entry.value, `\`${key}\``)
      }
      const twinOf = text('id of')
      const userAgent = text('user agent')
      const limit = text('takes at most')
      const features = fields.get('features')
      clients[name] = {
        group: text('group') ?? 'edge',
        features: features === undefined ? [] : this.texts(features.value, '`features`'),
        ...(twinOf !== undefined && { twinOf }),
        ...(userAgent !== undefined && { userAgent }),
        ...(limit !== undefined && { limitBytes: this.bytes(value, limit) }),
      }
      if (twinOf !== undefined && clients[twinOf] === undefined) this.fail(value, `there is no client ${twinOf} above`)
    }
    return clients
  }
}
