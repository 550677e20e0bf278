import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { PatchChange, PatchForm } from '../../config/kinds/patch-form.ts'
import { shapeOf, type TreeShape } from '../../resource/json/tree-shape.ts'
import type { Tree } from '../../resource/tree.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { PatchInput, PatchOutput } from '../contract.ts'
import { findPlaces } from './find-places.ts'
import { jsonPatchStep } from './json-patch.ts'
import { mergePatch } from './merge-patch.ts'
import { madeOf, nodeAt, spelled, type TreePath, withItem, withNode, withoutNode } from './patch-tree.ts'

/**
 * A resource's tree with its patches applied, in the order given. A patch that cannot be applied is left out and told at
 * its own place; what a patch brings is of the patch, so that the API's rules, where it breaks one, are told there too.
 */
export function applyPatches({ api, type, tree, patches }: PatchInput): PatchOutput {
  const shape = shapeOf(api, resourceTypes[type].typeUrl)
  const problems: PlacedProblem[] = []
  let patched = tree
  for (const document of patches) {
    const result = applyPatch(patched, document, shape)
    if ('problem' in result) problems.push(result.problem)
    else patched = result.tree
  }
  return { tree: patched, problems }
}

type Applied = { readonly tree: Tree } | { readonly problem: PlacedProblem }

function applyPatch(tree: Tree, document: KindDocument<PatchForm>, shape: TreeShape): Applied {
  const { target, at, change } = document.form
  const places = findPlaces(target.type, tree, at)
  if ('field' in places) return refused(document, places.field, places.message, places.fix)
  let patched = tree
  // From the last: what is taken out or put in there moves nothing that comes before.
  for (const place of places.toReversed()) {
    const result = changeAt(patched, place, document, change, shape)
    if ('problem' in result) return result
    patched = result.tree
  }
  const key = target.type === 'endpoint' ? 'cluster_name' : 'name'
  if (nameIn(patched, key) !== nameIn(tree, key)) {
    const message = `A patch cannot change \`${key}\`: others refer to the resource by it.`
    return refused(document, pathOf(change), message, `Leave \`${key}\` as it is.`)
  }
  return { tree: patched }
}

function changeAt(
  tree: Tree,
  place: TreePath,
  document: KindDocument<PatchForm>,
  change: PatchChange,
  shape: TreeShape,
): Applied {
  const here = shapeAt(tree, place, shape)
  if ('merge' in change) {
    const patch = madeOf(document, 'merge', change.merge)
    return { tree: withNode(tree, place, (node) => mergePatch(node, patch, here)) }
  }
  if ('jsonPatch' in change) return stepsAt(tree, place, document, change.jsonPatch, here)
  if ('remove' in change) return { tree: withoutNode(tree, place) }
  const isBefore = 'insertBefore' in change
  const index = place.at(-1)
  if (typeof index !== 'number') {
    const message = 'There is one `default_filter_chain`, and nothing stands beside it.'
    return refused(document, 'at.filterChain', message, 'Name a filter chain of the list.')
  }
  const field = isBefore ? 'insertBefore' : 'insertAfter'
  const item = madeOf(document, field, isBefore ? change.insertBefore : change.insertAfter)
  return { tree: withItem(tree, place.slice(0, -1), isBefore ? index : index + 1, spelled(item, here)) }
}

function stepsAt(
  tree: Tree,
  place: TreePath,
  document: KindDocument<PatchForm>,
  steps: Extract<PatchChange, { readonly jsonPatch: unknown }>['jsonPatch'],
  shape: TreeShape,
): Applied {
  let node = nodeAt(tree, place) as Tree
  for (const [index, step] of steps.entries()) {
    const path = `jsonPatch[${index}]`
    const value = step.value && madeOf(document, `${path}.value`, step.value)
    const result = jsonPatchStep(node, step, value, shape)
    if ('field' in result) return refused(document, `${path}.${result.field}`, result.message, result.fix)
    node = result
  }
  return { tree: withNode(tree, place, () => node) }
}

function shapeAt(tree: Tree, place: TreePath, shape: TreeShape): TreeShape {
  let here = shape
  let node: Tree | undefined = tree
  for (const segment of place) {
    if (typeof segment === 'string' && node !== undefined) here = here.at(node).below(segment)
    node = node && nodeAt(node, [segment])
  }
  return here
}

function nameIn(tree: Tree, key: string): unknown {
  const node = nodeAt(tree, [key])
  return node?.kind === 'scalar' ? node.value : undefined
}

/** Where the change stands in the Patch. */
function pathOf(change: PatchChange): string {
  return Object.keys(change)[0] ?? ''
}

function refused(
  { key }: KindDocument<PatchForm>,
  path: string,
  message: string,
  fix: string,
): { readonly problem: PlacedProblem } {
  return { problem: { severity: 'error', code: 'patch', at: { key, path }, message, fix } }
}
