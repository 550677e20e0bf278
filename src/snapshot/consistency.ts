import { keyOf } from '../resource/named.ts'
import { areDisjoint, impliesSelector, type NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import { ownTypeUrl, resourceTypes, type TypeUrl } from '../resource/type-url.ts'
import { selectorsOf, type Unit } from './unit.ts'

/** Types whose absence breaks what refers to them: Envoy rejects it, or answers 503 for ever. */
const required: ReadonlySet<TypeUrl> = new Set([
  ...[resourceTypes.cluster, resourceTypes.route, resourceTypes.secret, resourceTypes.extension].map((t) => t.typeUrl),
  ...['Service', 'Secret'].map(ownTypeUrl),
])

/** References of this type are checked: a missing one is an error or, for an assignment, a warning. */
export function isChecked(typeUrl: TypeUrl): boolean {
  return required.has(typeUrl) || typeUrl === resourceTypes.endpoint.typeUrl
}

/** A reference of this type must be provided for. An assignment need not: the cache sends an empty one (rule 24). */
export function isRequired(typeUrl: TypeUrl): boolean {
  return required.has(typeUrl)
}

/** How far a name is there for the nodes of a unit. */
export type Coverage =
  | { readonly kind: 'covered' }
  /** Each of the nodes may have it, but not provably. */
  | { readonly kind: 'uncertain'; readonly nodes: NodeSelector }
  /** The nodes of this selector provably lack it. */
  | { readonly kind: 'missing'; readonly nodes: NodeSelector }

const covered: Coverage = { kind: 'covered' }

/** Whether `providers` between them give a name to every node of `user`. */
export function coverageOf(user: Unit, providers: Iterable<Unit>): Coverage {
  const offered: NodeSelector[] = []
  for (const provider of providers) {
    if (provider === user) return covered
    offered.push(...selectorsOf(provider))
  }
  let worst = covered
  for (const nodes of selectorsOf(user)) {
    if (offered.some((wide) => impliesSelector(nodes, wide))) continue
    if (offered.every((other) => areDisjoint(nodes, other))) return { kind: 'missing', nodes }
    if (worst.kind === 'covered') worst = { kind: 'uncertain', nodes }
  }
  return worst
}

/** Some node may be selected by both. */
export function canMeet(a: Unit, b: Unit): boolean {
  return selectorsOf(a).some((x) => selectorsOf(b).some((y) => !areDisjoint(x, y)))
}

/** Resources of a unit whose type and name an earlier one of the same unit has, each with that earlier one. */
export function repeatsWithin(unit: Unit): readonly { readonly resource: Resource; readonly first: Resource }[] {
  const firsts = new Map<string, Resource>()
  return unit.resources.flatMap((resource) => {
    const key = keyOf(resource)
    const first = firsts.get(key)
    if (first !== undefined) return [{ resource, first }]
    firsts.set(key, resource)
    return []
  })
}
