/** A parsed YAML or JSON value that remembers where it was written. config/ builds it; resource/ reads messages from it. */

export interface Position {
  /** 1-based. */
  readonly line: number
  /** 1-based, in UTF-16 code units. */
  readonly column: number
  /** Of a generated value, which stands nowhere itself: what it was made of. */
  readonly of?: DocumentPlace
}

/** A place in a document of a kind, by path: where it stands in the text is looked up when somebody is told. */
export interface DocumentPlace {
  /** The document's key. */
  readonly key: string
  /** Of the document's form: `rules[0].backends[0].service`. */
  readonly path: string
}

export type Tree = ScalarTree | ListTree | MapTree

export interface ScalarTree extends Position {
  readonly kind: 'scalar'
  readonly value: null | boolean | number | bigint | string
  /** A number as written, where `value` would lose digits (64-bit integers). */
  readonly source?: string
}

export interface ListTree extends Position {
  readonly kind: 'list'
  readonly items: readonly Tree[]
}

export interface MapTree extends Position {
  readonly kind: 'map'
  /** In the order written. Keys are unique: the parser reports the others. */
  readonly entries: readonly MapEntry[]
}

export interface MapEntry extends Position {
  readonly key: string
  readonly value: Tree
}

/** The entry of `key` in a map, or undefined (also where `tree` is no map). */
export function entryOf(tree: Tree | undefined, key: string): MapEntry | undefined {
  return tree?.kind === 'map' ? tree.entries.find((entry) => entry.key === key) : undefined
}

/** The plain JavaScript value of a tree: for metadata matching, and for display. */
export function plainValue(tree: Tree): unknown {
  switch (tree.kind) {
    case 'scalar':
      return typeof tree.value === 'bigint' ? Number(tree.value) : tree.value
    case 'list':
      return tree.items.map(plainValue)
    case 'map':
      return Object.fromEntries(tree.entries.map((entry) => [entry.key, plainValue(entry.value)]))
  }
}

/** Something wrong at a place of a tree, before it is known which document the tree came from. */
export interface TreeProblem extends Position {
  readonly severity: 'error' | 'warning'
  readonly code:
    | 'unknown-field'
    | 'wrong-type'
    | 'rule-violation'
    | 'unknown-extension'
    | 'invalid-name'
    | 'no-effect'
    | 'unsupported-kind'
    | 'unsupported-field'
    | 'foreign-kind'
    | 'invalid-selector'
    | 'syntax'
  /** From the root of the tree that was given: `load_assignment.endpoints[0].lb_endpoints`. */
  readonly path: string
  readonly message: string
  readonly fix: string
}
