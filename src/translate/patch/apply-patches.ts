import type { PatchInput, PatchOutput } from '../contract.ts'

/**
 * A resource's tree with its patches applied.
 * @throws Error for any patch: the kind is refused by name until it is in this version
 */
export function applyPatches({ tree, patches }: PatchInput): PatchOutput {
  if (patches.length > 0) throw new Error('a Patch is not in this version')
  return { tree, problems: [] }
}
