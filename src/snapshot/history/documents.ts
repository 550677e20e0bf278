import type { Origin } from '../../errors.ts'
import { isGeneratedKey } from '../../resource/generated-key.ts'
import type { NodeSelector } from '../../resource/node-selector.ts'
import type { UnitText } from '../unit.ts'
import type { RevisionView } from './view.ts'

/** A document that was in force at a revision, as it was written. */
export interface RevisionDocument {
  readonly key: string
  readonly origin: Origin
  /** What it held: equal documents hold the same names in the same versions for the same nodes. */
  readonly resources: readonly { readonly typeUrl: string; readonly name: string; readonly version: string }[]
  readonly nodes: readonly NodeSelector[]
  /** Absent where nobody wrote it, or it is older than the keeping of texts. */
  readonly text?: UnitText
  /** It holds something sensitive, so that its text is not kept. */
  readonly isSensitive: boolean
}

/** Without what documents were translated to. */
export function documentsOf({ units }: RevisionView): readonly RevisionDocument[] {
  return units
    .filter(({ key }) => !isGeneratedKey(key))
    .map(({ key, origin, resources, selectors, text }) => ({
      key,
      origin,
      resources: resources.map(({ typeUrl, name, version }) => ({ typeUrl, name, version })),
      nodes: selectors,
      ...(text !== undefined && { text }),
      isSensitive: resources.some(({ isSensitive }) => isSensitive),
    }))
}
