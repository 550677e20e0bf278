import { formOfResource } from './config/kinds/form-of-resource.ts'
import { declarationsOf } from './config/kinds/kind-document.ts'
import type { Log } from './log.ts'
import type { EnvoyApi } from './resource/envoy-api.ts'
import { isGeneratedKey } from './resource/generated-key.ts'
import { isKindUnit, type Unit } from './snapshot/unit.ts'

/** What the history kept, apart: documents, which are in force again, and what they were translated to. */
export interface RestoredUnits {
  readonly documents: readonly Unit[]
  readonly generated: readonly Unit[]
}

/**
 * A document of a kind that this version cannot read is not in force until its source tells it. One that the history could not
 * keep is, unread: nobody is answered before it is read again.
 */
export function restoreUnits(api: EnvoyApi, units: Iterable<Unit>, log: Pick<Log, 'warn'>): RestoredUnits {
  const documents: Unit[] = []
  const generated: Unit[] = []
  for (const unit of units) {
    if (isGeneratedKey(unit.key)) generated.push(unit)
    else if (!isKindUnit(unit)) documents.push(unit)
    else documents.push(...restoreKind(api, unit, log))
  }
  return { documents, generated }
}

function restoreKind(api: EnvoyApi, unit: Unit, log: Pick<Log, 'warn'>): readonly Unit[] {
  try {
    const [resource] = unit.resources
    if (resource?.isReady === false) return [unit]
    const form = resource && formOfResource(api, resource)
    return form === undefined ? [] : [{ ...unit, declares: declarationsOf(form) }]
  } catch (error) {
    log.warn({ document: unit.origin.name, err: error }, 'this version cannot read what the history kept of a document')
    return []
  }
}
