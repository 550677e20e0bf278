import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { readTypedTree } from '../../resource/json/any.ts'
import { readMessage } from '../../resource/json/message-reader.ts'
import { beginReading } from '../../resource/json/reading.ts'
import { looksLikePrivateKey } from '../../resource/secrecy/private-key.ts'
import { isSensitiveMessage } from '../../resource/secrecy/sensitive.ts'
import { bringsContent } from '../../resource/secrecy/written-content.ts'
import type { Tree } from '../../resource/tree.ts'
import { messageNameOf, resourceTypes } from '../../resource/type-url.ts'
import type { PatchForm, PatchPlace } from './patch-form.ts'

/**
 * Whether a Patch brings content that the API marks sensitive. What it changes has types, by which that is told. Where a part
 * of it has none, as below a `typed_config` that it merges into, whatever stands under a name that may hold content is taken
 * for the worst, and a private key is known by its looks.
 */
export function holdsSecret(api: EnvoyApi, form: PatchForm): boolean {
  const place = { message: messageAt(form), isSensitive: form.target.type === 'secret' }
  return writtenBy(form.change).some(
    ({ pointer, tree }) => bringsContent(api, place, pointer, tree) || isSecretWithin(api, tree),
  )
}

interface Written {
  /** RFC 6901: where it goes, within the place that the Patch means. */
  readonly pointer: string
  readonly tree: Tree
}

function writtenBy(change: PatchForm['change']): readonly Written[] {
  if ('merge' in change) return [{ pointer: '', tree: change.merge }]
  if ('insertBefore' in change) return [{ pointer: '', tree: change.insertBefore }]
  if ('insertAfter' in change) return [{ pointer: '', tree: change.insertAfter }]
  if (!('jsonPatch' in change)) return []
  return change.jsonPatch.flatMap(({ path, value }) => (value === undefined ? [] : { pointer: path, tree: value }))
}

/** From the innermost out. */
const levelTypes: Readonly<Record<keyof PatchPlace, string>> = {
  route: 'envoy.config.route.v3.Route',
  virtualHost: 'envoy.config.route.v3.VirtualHost',
  httpFilter: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
  networkFilter: 'envoy.config.listener.v3.Filter',
  filterChain: 'envoy.config.listener.v3.FilterChain',
}

/** The type of what the Patch changes, which is the innermost that `at` names. */
function messageAt({ target, at = {} }: PatchForm): string {
  const level = (Object.keys(levelTypes) as (keyof PatchPlace)[]).find((one) => at[one] !== undefined)
  return level === undefined ? messageNameOf(resourceTypes[target.type].typeUrl) : levelTypes[level]
}

/** Whether a message in it is sensitive as a whole, or something looks like a private key. */
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
