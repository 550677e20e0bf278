import type { KindDocument } from '../config/kinds/kind-document.ts'
import { noPlaces } from '../config/kinds/places.ts'
import { createInterner } from '../resource/interner.ts'
import type { DocumentPlace, MapEntry, Position, Tree } from '../resource/tree.ts'

/** A place in a document of a kind, that a generated value is made of. */
export interface SourcePlace {
  readonly document: KindDocument
  /** Of the form: `rules[0].backends[0].service`; '' is the document. */
  readonly path: string
}

/** Envoy's JSON in the proto spelling, in which any value can say where it comes from. Fields that are undefined are left out. */
export type EnvoyJson =
  | null
  | boolean
  | number
  | string
  | Placed
  | readonly EnvoyJson[]
  | { readonly [field: string]: EnvoyJson | undefined }

const placeMark: unique symbol = Symbol('place')

export interface Placed {
  readonly [placeMark]: DocumentPlace
  readonly value: EnvoyJson
}

/** The value, made of what stands at `source`; so is what is in it, where that does not say otherwise. */
export function at(source: SourcePlace, value: EnvoyJson): Placed {
  return { [placeMark]: placeOf(source), value }
}

/** A place further down in the same document. */
export function within({ document, path }: SourcePlace, below: string): SourcePlace {
  return { document, path: path === '' || below.startsWith('[') ? path + below : `${path}.${below}` }
}

export function placeOf({ document, path }: SourcePlace): DocumentPlace {
  return { key: document.key, path }
}

/** Begins a path below the place of whoever it is for. */
const below = '\0'

/** Whoever has it: what several have alike is made of no place of any of them. */
export const anyone: SourcePlace = {
  document: { key: '', origin: { name: '' }, form: { kind: 'Mesh', name: 'mesh' }, places: noPlaces },
  path: below,
}

/** A place of `anyone`, seen from who has it; any other place as it is. */
export function placeFor(place: DocumentPlace, { document, path }: SourcePlace): DocumentPlace {
  return place.key === anyone.document.key ? { key: document.key, path: pathFor(place.path, path) } : place
}

/** The same for a path alone. */
export function pathFor(path: string, base: string): string {
  if (!path.startsWith(below)) return path
  const rest = path.slice(below.length)
  return base === '' && rest.startsWith('.') ? rest.slice(1) : base + rest
}

/** What `parseResource` reads, each node with its place. */
export function treeOf(value: EnvoyJson, source: SourcePlace): Tree {
  return build(value, positionOf(placeOf(source)), source)
}

/** Where the document stands in its file is looked up when somebody is told, for it can move there. */
function positionOf(place: DocumentPlace): Position {
  return { line: 0, column: 0, of: place }
}

function build(value: EnvoyJson, position: Position, source: SourcePlace): Tree {
  if (value === null || typeof value !== 'object') return { kind: 'scalar', value, ...position }
  if (isPlaced(value)) return build(value.value, positionOf(placeFor(value[placeMark], source)), source)
  if (isList(value)) return { kind: 'list', items: value.map((item) => build(item, position, source)), ...position }
  const entries: MapEntry[] = []
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue
    const node = build(field, position, source)
    entries.push({ key, value: node, line: node.line, column: node.column, ...(node.of && { of: node.of }) })
  }
  return { kind: 'map', entries, ...position }
}

/** Equal for JSON of equal content made of equal places. */
export function textOf(value: EnvoyJson): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isPlaced(value)) {
    const { key, path } = value[placeMark]
    return `@${JSON.stringify([key, path])}${textOf(value.value)}`
  }
  if (isList(value)) return `[${value.map(textOf).join()}]`
  let text = '{'
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined) text += `${JSON.stringify(key)}:${textOf(field)},`
  }
  return `${text}}`
}

const internJson = createInterner<EnvoyJson & object>()

/** One object for all JSON of equal content, as long as somebody holds it: what it is made to is kept by the object. */
export function sharedJson(json: EnvoyJson): EnvoyJson {
  return json === null || typeof json !== 'object' ? json : internJson(textOf(json), json)
}

const isList = (value: object): value is readonly EnvoyJson[] => Array.isArray(value)

function isPlaced(value: object): value is Placed {
  return placeMark in value
}

/** The keys of the documents that a tree is made of. */
export function documentsOf(tree: Tree, found: Set<string> = new Set()): ReadonlySet<string> {
  if (tree.of !== undefined) found.add(tree.of.key)
  if (tree.kind === 'list') for (const item of tree.items) documentsOf(item, found)
  if (tree.kind === 'map') for (const { value } of tree.entries) documentsOf(value, found)
  return found
}
