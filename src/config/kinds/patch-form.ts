import type { Tree } from '../../resource/tree.ts'
import type { NamedForm } from './common-form.ts'

export interface PatchForm extends NamedForm<'Patch'> {
  readonly target: PatchTarget
  readonly at?: PatchPlace
  readonly change: PatchChange
}

export interface PatchTarget {
  readonly type: 'cluster' | 'listener' | 'route' | 'endpoint' | 'secret'
  readonly name: string
}

/** Names of things within the target, from the outermost in. */
export interface PatchPlace {
  readonly filterChain?: string
  readonly networkFilter?: string
  readonly httpFilter?: string
  readonly virtualHost?: string
  readonly route?: string
}

/** Its trees stand where the author wrote them; of a form decoded from bytes, at line 1, column 1. */
export type PatchChange =
  | { readonly merge: Tree }
  | { readonly jsonPatch: readonly JsonPatchStep[] }
  | { readonly insertBefore: Tree }
  | { readonly insertAfter: Tree }
  | { readonly remove: true }

/** RFC 6902. */
export interface JsonPatchStep {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test'
  readonly path: string
  readonly from?: string
  readonly value?: Tree
}
