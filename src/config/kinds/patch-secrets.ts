import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { readTypedTree } from '../../resource/json/any.ts'
import { readMessage } from '../../resource/json/message-reader.ts'
import { beginReading } from '../../resource/json/reading.ts'
import { looksLikePrivateKey } from '../../resource/secrecy/private-key.ts'
import { isSensitiveMessage } from '../../resource/secrecy/sensitive.ts'
import type { Tree } from '../../resource/tree.ts'
import { messageNameOf, resourceTypes } from '../../resource/type-url.ts'
import type { PatchForm } from './patch-form.ts'

/**
 * Whether a Patch brings content that the API marks sensitive. What it changes has types, by which that is told; where a part
 * of it has none, a private key is known by its looks.
 */
export function holdsSecret(api: EnvoyApi, { target, change }: PatchForm): boolean {
  if ('merge' in change) {
    const desc = api.registry.getMessage(messageNameOf(resourceTypes[target.type].typeUrl))
    const isMarked =
      desc !== undefined && isSensitiveMessage(api, desc, readMessage(api, desc, change.merge, '').message)
    if (isMarked) return true
  }
  return treesOf(change).some((tree) => isSecretWithin(api, tree))
}

function treesOf(change: PatchForm['change']): readonly Tree[] {
  if ('merge' in change) return [change.merge]
  if ('insertBefore' in change) return [change.insertBefore]
  if ('insertAfter' in change) return [change.insertAfter]
  return 'jsonPatch' in change ? change.jsonPatch.flatMap(({ value }) => value ?? []) : []
}

function isSecretWithin(api: EnvoyApi, tree: Tree): boolean {
  if (tree.kind === 'scalar') return typeof tree.value === 'string' && looksLikePrivateKey(tree.value)
  if (tree.kind === 'list') return tree.items.some((item) => isSecretWithin(api, item))
  return isSecretMessage(api, tree) || tree.entries.some(({ value }) => isSecretWithin(api, value))
}

function isSecretMessage(api: EnvoyApi, tree: Tree): boolean {
  const typed = readTypedTree(beginReading(api, ''), tree)
  if (typed === undefined) return false
  return isSensitiveMessage(api, typed.desc, readMessage(api, typed.desc, typed.tree, '').message)
}
