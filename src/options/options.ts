import { stringify } from 'yaml'
import { formatOrigin, isError, type Origin, type Problem } from '../errors.ts'
import { nearestName } from '../resource/json/near-name.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { isLoopback } from './address.ts'
import { type OptionFile, readOptionFile } from './option-file.ts'
import { flagOf, type OptionName, type OptionSpec, optionTable, type ServeOptions, variableOf } from './option-table.ts'
import { formatOptionValue, parseOptionValue } from './option-value.ts'

export { type Address, isLoopback, parseAddress } from './address.ts'
export type { OptionFile } from './option-file.ts'
export {
  flagOf,
  type OptionGroup,
  type OptionName,
  type OptionSpec,
  optionTable,
  type ServeOptions,
  variableOf,
} from './option-table.ts'

export interface OptionInput {
  /** As the command line's parser gives them, by the option's name: texts, true, or lists of texts. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly file?: OptionFile
}

export type OptionLayer = 'flag' | 'environment' | 'file' | 'default'

/** Which layer gave an option, and there what: `--listen`, `FAIRLEAD_LISTEN`, `fairlead.yaml:3:1`. */
export interface OptionOrigin {
  readonly layer: OptionLayer
  readonly origin: Origin
}

export type OptionOrigins = Readonly<Record<OptionName, OptionOrigin>>

export interface ResolvedOptions {
  /** Undefined when a problem is an error. */
  readonly options?: ServeOptions
  readonly problems: readonly Problem[]
  readonly origins: OptionOrigins
}

/** What the command line may have besides the options of the table. */
const otherFlags = ['options', 'printOptions']

/** The options file that is read where no other is named; it need not exist. */
export const defaultOptionsFile = './fairlead.yaml'

/** The options file to read, and whether someone named it, so that it must exist. */
export function optionsFilePath({ flags, env }: Pick<OptionInput, 'flags' | 'env'>): {
  readonly path: string
  readonly isNamed: boolean
} {
  const named = flags['options'] ?? env['FAIRLEAD_OPTIONS']
  const isNamed = typeof named === 'string' && named !== ''
  return { path: isNamed ? named : defaultOptionsFile, isNamed }
}

/**
 * Puts the options together: a flag beats a variable, that the file, and that the default. Pure. Every problem is told at
 * once, each with the flag, variable or line that it is about.
 */
export function resolveOptions({ flags, env, file }: OptionInput): ResolvedOptions {
  const fromFile = file === undefined ? { entries: [], problems: [] } : readOptionFile(file)
  const problems: Problem[] = [...fromFile.problems]
  const layers = [
    readFlags(flags, problems),
    readVariables(env, problems),
    readEntries(fromFile.entries, problems),
  ] as const
  const values: Partial<Record<OptionName, unknown>> = {}
  const origins: Partial<Record<OptionName, OptionOrigin>> = {}
  for (const spec of optionTable) {
    const given = layers.map((layer) => layer.get(spec.name)).find((candidate) => candidate !== undefined)
    const { value, ...origin } = given ?? { value: spec.default, ...defaultOrigin }
    origins[spec.name] = origin
    if (value !== undefined) values[spec.name] = value
  }
  // The table has every option; what it says of types is tested.
  const options = values as unknown as ServeOptions
  const complete = origins as OptionOrigins
  problems.push(...conflicts(options, complete))
  return { ...(!problems.some(isError) && { options }), problems, origins: complete }
}

/** REST xDS is wanted on the admin address. */
export function servesRest({ rest, admin }: Pick<ServeOptions, 'rest' | 'admin'>): boolean {
  return rest === 'on' || (rest === 'auto' && isLoopback(admin))
}

/** The options in force as an options file, each line with where it came from. It holds no secret: no option is one. */
export function printOptions(options: ServeOptions, origins: OptionOrigins): string {
  let group = ''
  let text = ''
  for (const spec of optionTable) {
    if (spec.group !== group) text += `${group === '' ? '' : '\n'}# ${spec.group}\n`
    group = spec.group
    const value = options[spec.name]
    if (value === undefined) text += `# ${spec.name}: not set\n`
    else {
      const { layer, origin } = origins[spec.name]
      const written = inline(formatOptionValue(spec.type, value))
      text += `${spec.name}: ${written}  # ${layer === 'default' ? 'default' : formatOrigin(origin)}\n`
    }
  }
  return text
}

function inline(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trimEnd()
}

const defaultOrigin: OptionOrigin = { layer: 'default', origin: { name: 'default' } }

interface Given extends OptionOrigin {
  /** Undefined when it cannot be used; it still hides the layers below, whose value nobody asked for. */
  readonly value: unknown
}

type Layer = ReadonlyMap<OptionName, Given>

const byName: ReadonlyMap<string, OptionSpec> = new Map(optionTable.map((spec) => [spec.name, spec]))

function readFlags(flags: OptionInput['flags'], problems: Problem[]): Layer {
  const layer = new Map<OptionName, Given>()
  for (const [name, given] of Object.entries(flags)) {
    if (given === undefined || otherFlags.includes(name)) continue
    const origin = { name: flagOf(name) }
    const spec = byName.get(name)
    if (spec === undefined || spec.isFileOnly) {
      const near = nearestName(
        name,
        optionTable.filter(({ isFileOnly }) => !isFileOnly).map((option) => option.name),
      )
      const fix = near === undefined ? '`fairlead serve --help` lists the options.' : `Did you mean ${flagOf(near)}?`
      problems.push(usage(origin, name, `There is no option ${flagOf(name)}.`, fix))
      continue
    }
    layer.set(spec.name, parse(spec, given, 'flag', origin, problems))
  }
  return layer
}

function readVariables(env: OptionInput['env'], problems: Problem[]): Layer {
  const layer = new Map<OptionName, Given>()
  const variables = new Map(optionTable.map((spec) => [variableOf(spec.name), spec]))
  for (const [name, text] of Object.entries(env)) {
    // An empty variable is how container descriptions say "not set".
    if (!name.startsWith('FAIRLEAD_') || text === undefined || text === '') continue
    const origin = { name }
    const spec = variables.get(name)
    if (spec !== undefined && !spec.isFileOnly) {
      const given = spec.type === 'paths' ? text.split(',') : text
      layer.set(spec.name, parse(spec, given, 'environment', origin, problems))
      continue
    }
    const near = name === 'FAIRLEAD_OPTIONS' ? undefined : nearestName(name, variables.keys(), 2)
    // Others may set variables of this prefix (for one, the links of a container called fairlead), so no error.
    if (near === undefined) continue
    const problem = usage(origin, '', `There is no variable ${name}, so it has no effect.`, `Did you mean ${near}?`)
    problems.push({ ...problem, severity: 'warning' })
  }
  return layer
}

function readEntries(entries: ReturnType<typeof readOptionFile>['entries'], problems: Problem[]): Layer {
  const layer = new Map<OptionName, Given>()
  for (const { key, value, origin } of entries) {
    const spec = byName.get(key)
    if (spec === undefined) {
      const near = nearestName(key, byName.keys())
      const fix =
        near === undefined ? '`fairlead serve --print-options` lists the options.' : `Did you mean \`${near}\`?`
      problems.push(usage(origin, key, key === '' ? 'A key is no text.' : `There is no option \`${key}\`.`, fix))
      continue
    }
    const given = parse(spec, value, 'file', origin, problems)
    if (spec.type === 'names' && given.value !== undefined) checkTypes(given, problems)
    layer.set(spec.name, given)
  }
  return layer
}

function parse(spec: OptionSpec, given: unknown, layer: OptionLayer, origin: Origin, problems: Problem[]): Given {
  const parsed = parseOptionValue(spec.type, given, spec)
  if ('value' in parsed) return { value: normalize(spec, parsed.value), layer, origin }
  const subject = layer === 'file' ? `\`${spec.name}\`` : origin.name
  const message = `${subject} cannot be used as it is given.`
  problems.push(usage(origin, spec.name, message, `Give it ${parsed.expected}.`))
  return { value: undefined, layer, origin }
}

/** A prefix means the same with and without its last slash. */
function normalize(spec: OptionSpec, value: unknown): unknown {
  return spec.name === 'etcdPrefix' ? `${value as string}/`.replace(/\/+$/, '/') : value
}

function checkTypes({ value, origin }: Given, problems: Problem[]): void {
  const words = Object.keys(resourceTypes)
  for (const word of Object.keys(value as object)) {
    if (words.includes(word)) continue
    const near = nearestName(word, words)
    const fix = near === undefined ? `The types are: ${words.join(', ')}.` : `Did you mean \`${near}\`?`
    problems.push(usage(origin, 'staticNames', `There is no type of resources called \`${word}\`.`, fix))
  }
}

/** Pairs of which the first means nothing without the second. */
const needs: readonly (readonly [OptionName, OptionName])[] = [
  ['tlsCert', 'tlsKey'],
  ['tlsKey', 'tlsCert'],
  ['tlsClientCa', 'tlsCert'],
  ['etcdCert', 'etcdKey'],
  ['etcdKey', 'etcdCert'],
  ['etcdUser', 'etcdPasswordFile'],
  ['etcdPasswordFile', 'etcdUser'],
  ['etcdCa', 'etcd'],
  ['etcdCert', 'etcd'],
  ['etcdUser', 'etcd'],
  ['replicaId', 'etcd'],
]

/** What does not go together. An option that was given and cannot be read is not taken for absent. */
function conflicts(options: ServeOptions, origins: OptionOrigins): Problem[] {
  const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0
  const isGiven = (name: OptionName): boolean => origins[name].layer !== 'default' && !isEmpty(options[name])
  const problems: Problem[] = []
  for (const [name, needed] of needs) {
    if (!isGiven(name) || isGiven(needed)) continue
    const message = `${flagOf(name)} means nothing without ${flagOf(needed)}.`
    problems.push(usage(origins[name].origin, name, message, `Give ${flagOf(needed)} too, or neither.`))
  }
  if (!isGiven('config') && !isGiven('etcd')) {
    const fix = 'Give --config PATH (a directory or file), --etcd URLS, or both: `fairlead serve --config ./config`.'
    problems.push(usage({ name: 'fairlead serve' }, 'config', 'There is no source of documents.', fix))
  }
  const { debounce, debounceMax, listen, admin, etcd, replicaId } = options
  if (replicaId !== undefined && !/^[\w.:@-]{1,128}$/.test(replicaId)) {
    const fix = 'Give up to 128 letters, digits and any of - _ . : @.'
    problems.push(usage(origins.replicaId.origin, 'replicaId', '--replica-id is part of a key in etcd.', fix))
  }
  if (debounce > debounceMax) {
    const name = isGiven('debounceMax') ? 'debounceMax' : 'debounce'
    const fix = 'Give --debounce-max at least the time of --debounce.'
    problems.push(usage(origins[name].origin, name, '--debounce is longer than --debounce-max.', fix))
  }
  if (listen !== undefined && listen === admin && !listen.endsWith(':0')) {
    const name = isGiven('admin') ? 'admin' : 'listen'
    problems.push(usage(origins[name].origin, name, '--listen and --admin are the same address.', 'Give two ports.'))
  }
  const wantsTls = isGiven('etcdCa') || isGiven('etcdCert')
  if (wantsTls && etcd?.some((url) => url.startsWith('http:'))) {
    const message = 'etcd is to be spoken to with TLS, and a URL of it begins with http:.'
    problems.push(usage(origins.etcd.origin, 'etcd', message, 'Write https: in every URL.'))
  }
  return problems
}

function usage(origin: Origin, path: string, message: string, fix: string): Problem {
  return { severity: 'error', code: 'usage', origin, path, message, fix }
}
