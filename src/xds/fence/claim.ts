import type { TypeUrl } from '../../resource/type-url.ts'
import { type ResourceSet, setOfResources } from '../../snapshot/resource-set.ts'
import type { NameSet } from '../protocol/names.ts'

/** What a client says with its first request of a type that it has, and what it asks for. */
export interface Claim {
  readonly typeUrl: TypeUrl
  /** SotW. */
  readonly versionInfo?: string
  /** Delta. */
  readonly initialVersions?: ReadonlyMap<string, string>
  readonly isWildcard: boolean
  readonly names: NameSet
}

/** It says that it has exactly what it would be given of `set`: then nothing in `set` can be older (rule 87). */
export function isMetBy(claim: Claim, set: ResourceSet): boolean {
  const { versionInfo, initialVersions, isWildcard, names } = claim
  if (initialVersions === undefined) return versionInfo === set.version || versionInfo === versionIfReady(set)
  for (const [name, version] of initialVersions) if (set.get(name)?.version !== version) return false
  if (isWildcard) return set.size === initialVersions.size
  if (names.names.some((name) => set.get(name) !== undefined && !initialVersions.has(name))) return false
  if (names.globs.length === 0) return true
  for (const { name } of set.values()) if (names.matches(name) && !initialVersions.has(name)) return false
  return true
}

/** Thousands of clients may say the same. */
const readyVersions = new WeakMap<ResourceSet, string>()

/** A set restored without its sensitive content has another version than the one that it was sent with. */
function versionIfReady(set: ResourceSet): string {
  const known = readyVersions.get(set)
  if (known !== undefined) return known
  const version = computeVersionIfReady(set)
  readyVersions.set(set, version)
  return version
}

function computeVersionIfReady(set: ResourceSet): string {
  const members = [...set.values()]
  if (members.every(({ isReady }) => isReady)) return set.version
  return setOfResources(
    set.typeUrl,
    members.map((resource) => ({ ...resource, isReady: true })),
  ).version
}
