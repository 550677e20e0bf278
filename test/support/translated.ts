import { createAttachments } from '../../src/attachments.ts'
import { parseDocument } from '../../src/config/parse-document.ts'
import type { Problem } from '../../src/errors.ts'
import type { EnvoyApi } from '../../src/resource/envoy-api.ts'
import { createWorld, type Unit, type UnitChange } from '../../src/snapshot/world.ts'
import { createMesh } from '../../src/translate/mesh.ts'

export interface Translated {
  /** In order of key. */
  readonly units: readonly Unit[]
  /** Of the text, and of what follows from it. */
  readonly problems: readonly Problem[]
}

/**
 * What a text with documents of kinds becomes, as a server that starts with it would serve it.
 * @param directory where the files are that it names
 */
export function translated(api: EnvoyApi, text: string, name = 'test.yaml', directory?: string): Translated {
  const { parse } = createAttachments({
    api,
    parse: (document) => parseDocument(api, document),
    inForce: new Map(),
    directoryOf: () => directory,
    allowed: [],
  })
  const { documents, invalid, problems } = parse({ id: `file:${name}`, origin: { name }, text }, [])
  const mesh = createMesh(api)
  const world = createWorld({ staticNames: {}, allowPartial: true, judge: (candidate) => mesh.try(candidate) })
  const changes = [
    ...documents.map((unit): UnitChange => ({ kind: 'valid', unit })),
    ...invalid.map((one): UnitChange => ({ kind: 'invalid', ...one })),
  ]
  const step = world.apply(changes, { isFirst: true })
  const units = [...world.generated.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  return { units, problems: [...problems, ...step.problems] }
}
