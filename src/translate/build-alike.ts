import { randomUUID } from 'node:crypto'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { createMakingInterner, type InternMade } from '../resource/interner.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { cutStencil, fillStencil, type Stencil } from '../resource/stencil.ts'
import { messageNameOf, resourceTypes } from '../resource/type-url.ts'
import { buildFromTree, type Generated } from './build-generated.ts'
import type { AlikeJson, GeneratedJson } from './contract.ts'
import { anyone, type SourcePlace, treeOf } from './envoy-json.ts'
import { RecentlyUsed } from './recently-used.ts'

/** What stands in JSON for the names of whoever it is for: texts that nobody has written anywhere. */
export const blanks: readonly [name: string, service: string] = [`name-${randomUUID()}`, `service-${randomUUID()}`]

/** A text with the names in place of the blanks. */
export function fillBlanks(text: string, names: AlikeJson['names']): string {
  return blanks.reduce((filled, blank, index) => filled.replaceAll(blank, names[index] as string), text)
}

/** What resources have in common that are alike but for names. */
interface Mould {
  readonly stencil: Stencil
  readonly resource: Resource
  readonly documents: ReadonlySet<string>
  /** What was made of it is not made again while somebody has it. */
  readonly intern: InternMade<Resource>
}

/** `once`: seen once, and so perhaps never again; `none`: there can be none. */
type Known = Mould | 'once' | 'none'

/** Of all texts together. */
const charactersAtMost = 8_000_000

/** By the text of what they are made of. */
const knownBy = new WeakMap<EnvoyApi, RecentlyUsed<Known>>()

function mouldFor(api: EnvoyApi, text: string, make: () => Mould | undefined): Mould | undefined {
  const known = knownBy.get(api) ?? new RecentlyUsed<Known>(charactersAtMost)
  knownBy.set(api, known)
  const before = known.get(text)
  const found = before === undefined ? 'once' : before === 'once' ? (make() ?? 'none') : before
  if (found !== before) known.set(text, found, 0)
  return typeof found === 'string' ? undefined : found
}

/**
 * Makes a resource of what others were made of that are alike but for names: nothing is checked or encoded again. What comes
 * out is what making it by itself gives. Undefined where that has to be done: for the first of its kind, and where something
 * is wrong with it.
 */
export function buildAlike(
  api: EnvoyApi,
  {
    type,
    name,
    from,
    alike: { json, text, names },
  }: Pick<GeneratedJson, 'type' | 'name' | 'from'> & { readonly alike: AlikeJson },
): Generated | undefined {
  const mould = mouldFor(api, text, () => mouldOf(api, type, json, from.path))
  if (mould === undefined) return undefined
  const { stencil, resource, documents, intern } = mould
  const { key, origin } = from.document
  return {
    resource: intern(JSON.stringify([names, origin.name]), () =>
      buildResource({
        typeUrl: resource.typeUrl,
        name,
        bytes: fillStencil(stencil, names),
        origin: { name: origin.name },
        references: resource.references.map((one) => ({ ...one, name: fillBlanks(one.name, names) })),
        isSensitive: resource.isSensitive,
      }),
    ),
    documents: new Set([...documents].map((document) => (document === anyone.document.key ? key : document))),
    problems: [],
  }
}

function mouldOf(api: EnvoyApi, type: GeneratedJson['type'], json: AlikeJson['json'], path: string): Mould | undefined {
  const from: SourcePlace = { document: anyone.document, path }
  const { resource, documents, problems } = buildFromTree(api, type, treeOf(json, from), from)
  const desc = api.registry.getMessage(messageNameOf(resourceTypes[type].typeUrl))
  // Aliases and a time to live would have to be told as well.
  if (resource === undefined || desc === undefined || problems.length > 0) return undefined
  if (resource.aliases.length > 0 || resource.ttlMs !== undefined) return undefined
  const stencil = cutStencil(api, desc, resource.bytes, blanks)
  return stencil && { stencil, resource, documents, intern: createMakingInterner() }
}
