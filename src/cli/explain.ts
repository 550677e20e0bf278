import { realpathSync, statSync } from 'node:fs'
import { Command, Option } from 'commander'
import { stringify } from 'yaml'
import { type KindDocument, kindOf } from '../config/kinds/kind-document.ts'
import { ControlPlaneError, formatOrigin, isError, type Problem } from '../errors.ts'
import { bootstrapCluster } from '../resource/bootstrap-cluster.ts'
import { type EnvoyApi, loadEnvoyApi } from '../resource/envoy-api.ts'
import { generatedKey, ownerKey } from '../resource/generated-key.ts'
import { messageToJson } from '../resource/json/codec.ts'
import { nearestName } from '../resource/json/near-name.ts'
import type { Resource } from '../resource/resource.ts'
import { selectorLabel } from '../resource/selector-label.ts'
import type { Tree } from '../resource/tree.ts'
import { wordOf } from '../resource/type-url.ts'
import type { Unit } from '../snapshot/world.ts'
import { type Because, becauseOf } from './because.ts'
import { exitCodes, type Io, print, printJson } from './io.ts'
import { allowFileOption, envoyApiOption, jsonOption, repeatable, staticOption } from './option.ts'
import { formatProblems } from './problem-text.ts'
import { type ReadWorld, readWorld } from './read-world.ts'
import { formatTable } from './table.ts'

interface Flags {
  readonly config?: readonly string[]
  readonly allowFile?: readonly string[]
  readonly static?: readonly string[]
  readonly full?: true
  readonly envoyApi?: string
  readonly json?: true
}

const help = `
  fairlead explain Service/cart --config ./config      what it became, and why
  fairlead explain cluster/cart --config ./config      what it is made of
  fairlead explain ./config/cart.yaml --config ./config

A document is KIND/NAME, or the file that it stands in; a resource is TYPE/NAME:
cluster, endpoint, listener, route, secret. What is neither said by a document
nor in the list is as Envoy has it. Keys are not shown.
Exit code 1: there is no such thing, or it has errors and is not in force.
`

export function explainCommand(io: Io, finish: (exitCode: number) => void): Command {
  return new Command('explain')
    .description('show what a document became and why, or what an Envoy resource is made of')
    .argument('<WHAT>', 'a file, KIND/NAME (Service/cart), or TYPE/NAME (cluster/cart)')
    .addOption(repeatable('--config <PATH>', 'a directory or file of configuration; WHAT, if that is a file'))
    .addOption(allowFileOption())
    .addOption(staticOption())
    .addOption(new Option('--full', 'print the resources, too'))
    .addOption(envoyApiOption())
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (what: string, flags: Flags) => {
      const isFile = statSync(what, { throwIfNoEntry: false })?.isFile() === true
      const config = flags.config ?? (isFile ? [what] : undefined)
      if (config === undefined) {
        throw new ControlPlaneError('usage', `--config is missing: where does ${what} stand?`)
      }
      const api = loadEnvoyApi(flags.envoyApi)
      const trees = new Map<string, Tree>()
      const world = await readWorld(api, config, {
        allowed: flags.allowFile ?? [],
        staticClusters: [bootstrapCluster, ...(flags.static ?? [])],
        signal: io.signal,
        onBuilt: ({ type, name, tree }) => trees.set(`${type} ${name}`, tree),
      })
      const shop = shopOf(api, world, trees)
      const explained = isFile ? explainFile(shop, what) : explainName(shop, what)
      if (flags.json) printJson(io, jsonOf(shop, explained))
      else print(io, textOf(shop, explained, flags.full === true || explained.isResource))
      if (explained.units.length === 0 || explained.problems.some(isError)) finish(exitCodes.config)
    })
}

/** Everything that an explanation is made from. */
interface Shop {
  readonly api: EnvoyApi
  readonly world: ReadWorld
  /** Generated resources before they were encoded, by `cluster cart`. */
  readonly trees: ReadonlyMap<string, Tree>
  /** Documents of kinds, by key. */
  readonly documents: ReadonlyMap<string, KindDocument>
}

interface Explained {
  readonly units: readonly Unit[]
  /** One resource was asked for, not the documents. */
  readonly isResource: boolean
  readonly problems: readonly Problem[]
}

function shopOf(api: EnvoyApi, world: ReadWorld, trees: ReadonlyMap<string, Tree>): Shop {
  const documents = new Map<string, KindDocument>()
  for (const { key, resources } of world.inForce.values()) {
    const document = resources[0] && kindOf(resources[0])
    if (document !== undefined) documents.set(key, document)
  }
  return { api, world, trees, documents }
}

function explainFile({ world }: Shop, file: string): Explained {
  const real = realpathSync(file)
  const isHere = ({ origin }: { readonly origin: Problem['origin'] }): boolean => sameFile(origin.name, real)
  const units = [...world.inForce.values()].filter(isHere)
  return { units, isResource: false, problems: world.problems.filter(isHere) }
}

function sameFile(name: string, real: string): boolean {
  try {
    return realpathSync(name) === real
  } catch {
    return false
  }
}

/** @throws ControlPlaneError `usage` for what is no name; `config` when there is nothing of this name. */
function explainName(shop: Shop, what: string): Explained {
  const slash = what.indexOf('/')
  if (slash <= 0) throw new ControlPlaneError('usage', `${what} is no file, and not KIND/NAME or TYPE/NAME`)
  const [type, name] = [what.slice(0, slash), what.slice(slash + 1)]
  const { world } = shop
  const all = [...world.inForce.values(), ...world.generated.values()]
  const isNamed = (one: Resource): boolean => one.name === name && wordOf(one.typeUrl) === type
  // The Mesh's resource is called `mesh`, whatever the Mesh is.
  const units = all.filter((unit) => unit.resources.some(isNamed) || documentLabel(shop, unit) === what)
  if (units.length === 0) throw new ControlPlaneError('config', absence(shop, what, all))
  const isResource = !/^[A-Z]/.test(type)
  return {
    units: isResource ? units.map((unit) => ({ ...unit, resources: unit.resources.filter(isNamed) })) : units,
    isResource,
    problems: isResource ? [] : world.problems.filter((problem) => units.some((unit) => stands(problem, unit, world))),
  }
}

/** `Service/cart`; undefined for a raw document. */
function documentLabel({ documents }: Shop, { key }: Unit): string | undefined {
  const form = documents.get(key)?.form
  return form && `${form.kind}/${form.name}`
}

/** Why nothing is called that, and what was meant. */
function absence(shop: Shop, what: string, all: readonly Unit[]): string {
  const names = all.flatMap((unit) => {
    const label = documentLabel(shop, unit)
    return label === undefined ? unit.resources.map((one) => `${wordOf(one.typeUrl)}/${one.name}`) : [label]
  })
  const why = shop.world.problems.some(isError) ? '; some documents have errors: see fairlead validate' : ''
  if (shop.trees.has(what.replace('/', ' '))) {
    const served = [...new Set(names.filter((one) => one.startsWith(`${what}/`)))].sort()
    return `no proxy gets ${what}${served.length === 0 ? why : `: they get ${served.join(', ')}`}`
  }
  const near = nearestName(what, names)
  return `there is no ${what}${near === undefined ? why : `: did you mean ${near}?`}`
}

/** Within the lines of the document: those up to the next one of its file. */
function stands({ origin }: Problem, unit: Unit, { inForce }: ReadWorld): boolean {
  if (origin.name !== unit.origin.name) return false
  const lines = [...inForce.values()].flatMap((other) =>
    other.origin.name === origin.name ? (other.origin.line ?? 1) : [],
  )
  const line = origin.line ?? 1
  const start = Math.max(0, ...lines.filter((one) => one <= line))
  return start === (unit.origin.line ?? 1)
}

/** A resource, and the nodes that it is for. */
interface Served {
  readonly selectors: Unit['selectors']
  readonly resource: Resource
}

/** What a unit's document became: of a raw one, and of a resource, itself. */
function resourcesOf({ world, documents }: Shop, unit: Unit): readonly Served[] {
  const document = documents.get(unit.key)
  const { kind, name } = document?.form ?? {}
  const key = kind && name && generatedKey(kind, kind === 'Mesh' ? 'mesh' : name)
  const units = key ? [...world.generated.values()].filter((one) => ownerKey(one.key) === key) : [unit]
  return units.flatMap(({ selectors, resources }) => resources.map((resource) => ({ selectors, resource })))
}

/** `cluster cart` */
const labelOf = ({ typeUrl, name }: Pick<Resource, 'typeUrl' | 'name'>): string => `${wordOf(typeUrl)} ${name}`

/** How many of those are listed. */
const maxOthers = 8

/** What others become and a document says something of, as the Mesh of what all sidecars share. */
function othersOf(shop: Shop, unit: Unit): readonly string[] {
  const { world, trees, documents } = shop
  if (!documents.has(unit.key)) return []
  const own = new Set(resourcesOf(shop, unit).map(({ resource }) => labelOf(resource)))
  const labels = new Set([...world.generated.values()].flatMap(({ resources }) => resources.map(labelOf)))
  return [...labels].filter((label) => !own.has(label) && saysSomething(trees.get(label), unit.key)).sort()
}

function saysSomething(tree: Tree | undefined, key: string): boolean {
  if (tree === undefined) return false
  if (tree.of?.key === key && tree.of.path !== '') return true
  if (tree.kind === 'list') return tree.items.some((item) => saysSomething(item, key))
  return tree.kind === 'map' && tree.entries.some(({ value }) => saysSomething(value, key))
}

function reasonsOf({ trees, documents }: Shop, resource: Resource): readonly Because[] {
  const tree = trees.get(labelOf(resource))
  return tree === undefined || resource.isSensitive ? [] : becauseOf(tree, documents)
}

function titleOf({ documents }: Shop, { key, resources }: Unit): string {
  const document = documents.get(key)
  if (document !== undefined) return `${document.form.kind} ${document.form.name}`
  const [first] = resources
  return resources.length === 1 && first !== undefined ? `${wordOf(first.typeUrl)} ${first.name}` : 'raw resources'
}

function nodesText(selectors: Unit['selectors']): string {
  return selectors.length === 0 ? 'every node' : selectors.map((one) => `nodes of ${selectorLabel(one)}`).join(', ')
}

function textOf(shop: Shop, { units, problems }: Explained, isFull: boolean): string {
  const parts = units.map((unit) => unitText(shop, unit, isFull))
  if (parts.length === 0) parts.push('Nothing of it is in force.')
  if (problems.length > 0) parts.push(formatProblems(problems, { color: false }))
  return parts.join('\n\n')
}

function unitText(shop: Shop, unit: Unit, isFull: boolean): string {
  const served = resourcesOf(shop, unit)
  const resources = served.map(({ resource }) => resource)
  const lines = [`${titleOf(shop, unit)}  ${formatOrigin(unit.origin)}`]
  if (resources.length === 0) lines.push('  becomes nothing of its own that a proxy gets')
  for (const { resource, selectors } of served) {
    const { typeUrl, name } = resource
    lines.push(`  ${wordOf(typeUrl).padEnd(9)} ${name}  for ${nodesText(selectors)}`)
  }
  const others = othersOf(shop, unit)
  for (const label of others.slice(0, maxOthers)) lines.push(`  has a say in ${label}`)
  if (others.length > maxOthers) lines.push(`  and in ${others.length - maxOthers} more`)
  // Of one name there are several where callers of other regions have another.
  const named = new Map(resources.map((resource) => [labelOf(resource), resource]))
  const rows = [...named.values()].flatMap((resource) =>
    reasonsOf(shop, resource).map(({ field, value, place, path, why }) => [
      `  ${wordOf(resource.typeUrl)} ${resource.name}`,
      shortened(field),
      value,
      place === undefined ? `default: ${why}` : `${place} ${path}`.trimEnd(),
    ]),
  )
  if (rows.length > 0) lines.push('because', formatTable(['  resource', 'field', 'value', 'from'], rows))
  if (isFull) for (const resource of resources) lines.push('', yamlOf(shop.api, resource).trimEnd())
  return lines.join('\n')
}

/** The keys of Envoy's extensions by the last word of their names: tables are wide enough. */
function shortened(field: string): string {
  return field.replaceAll(/"[\w.]+\.(\w+)"/g, '"…$1"')
}

function yamlOf(api: EnvoyApi, { typeUrl, bytes }: Resource): string {
  return stringify([messageToJson(api, typeUrl, bytes, { redact: true })], {
    lineWidth: 120,
    aliasDuplicateObjects: false,
  })
}

function jsonOf(shop: Shop, { units, problems }: Explained): object {
  return {
    documents: units.map((unit) => {
      const served = resourcesOf(shop, unit)
      const { selectors: nodes = [] } = served[0] ?? {}
      const document = shop.documents.get(unit.key)
      return {
        ...(document !== undefined && { kind: document.form.kind, name: document.form.name }),
        place: formatOrigin(unit.origin),
        nodes,
        hasSayIn: othersOf(shop, unit),
        resources: served.map(({ resource, selectors }) => ({
          type: wordOf(resource.typeUrl),
          name: resource.name,
          ...(selectors !== nodes && { nodes: selectors }),
          because: reasonsOf(shop, resource),
          resource: messageToJson(shop.api, resource.typeUrl, resource.bytes, { redact: true }),
        })),
      }
    }),
    problems: problems.map((problem) => ({ place: formatOrigin(problem.origin), ...problem })),
  }
}
