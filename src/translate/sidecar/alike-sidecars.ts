import { createHash } from 'node:crypto'
import { blanks, fillBlanks } from '../build-alike.ts'
import type { GeneratedJson, SidecarInput } from '../contract.ts'
import { anyone, textOf } from '../envoy-json.ts'
import { RecentlyUsed } from '../recently-used.ts'
import { buildSidecar } from './build-sidecar.ts'

/** What some sidecars become, with blanks for their names, and the text of it. */
type Blank = Pick<GeneratedJson, 'type' | 'name' | 'json' | 'from'> & { readonly text: string }

/** A change of what all may call makes others of them; those before are for nobody. */
const charactersAtMost = 8_000_000

/** By all that they are made of. */
const known = new RecentlyUsed<readonly Blank[]>(charactersAtMost)

/**
 * What a Sidecar becomes, each resource also with blanks for its name and its Service's: thousands of sidecars differ by
 * nothing else. The JSON itself is made when somebody asks for it.
 */
export function buildAlikeSidecar(input: SidecarInput): readonly GeneratedJson[] {
  const { sidecar } = input
  const { name, service = name } = sidecar.form
  let own: readonly GeneratedJson[] | undefined
  return blankOf(input).map(({ type, name: blank, json, text, from }, index): GeneratedJson => {
    return {
      type,
      name: fillBlanks(blank, [name, service]),
      from: { document: sidecar, path: from.path },
      alike: { json, text, names: [name, service] },
      get json() {
        own ??= buildSidecar(input)
        return own[index]?.json ?? null
      },
    }
  })
}

function blankOf(input: SidecarInput): readonly Blank[] {
  const blank = withBlanks(input)
  const key = keyOfInput(blank)
  const before = known.get(key)
  if (before !== undefined) return before
  const made = buildSidecar(blank).map(({ type, name, json, from }): Blank => {
    return { type, name, json, from, text: `${type} ${from.path} ${textOf(json)}` }
  })
  const characters = made.reduce((sum, { text }) => sum + text.length, 0)
  known.set(key, made, characters)
  return made
}

function withBlanks({ sidecar, outbound, services, mesh }: SidecarInput): SidecarInput {
  const { form } = sidecar
  const [name, service] = blanks
  const blanked = (own: string): string => (own === form.service ? service : own)
  const named = (text: string): string =>
    text.startsWith(`${form.name}/`) ? name + text.slice(form.name.length) : text
  const { egress, passthrough, routes } = outbound
  const facets = new Map(form.inbound.map((one) => [blanked(one.service), services.get(one.service)]))
  return {
    mesh,
    sidecar: {
      key: anyone.document.key,
      origin: anyone.document.origin,
      places: anyone.document.places,
      form: {
        ...form,
        name,
        nodes: [],
        ...(form.service !== undefined && { service }),
        inbound: form.inbound.map((one) => ({ ...one, service: blanked(one.service) })),
        // What they are is in `outbound` below.
        ...(form.outbound?.services !== undefined && { outbound: { ...form.outbound, services: [] } }),
      },
    },
    outbound: {
      ...outbound,
      routes: named(routes),
      passthrough: passthrough && named(passthrough),
      egress: egress && { ...egress, cluster: named(egress.cluster) },
    },
    services: { get: (wanted) => facets.get(wanted) },
  }
}

/** Of what thousands have. */
const digests = new WeakMap<object, string>()

function digestOf(value: object): string {
  const digest = digests.get(value) ?? createHash('sha256').update(JSON.stringify(value, withKeys)).digest('base64')
  digests.set(value, digest)
  return digest
}

/** Of a document its key. */
const withKeys = (field: string, value: unknown): unknown =>
  field === 'document' ? (value as { readonly key: string }).key : value

function keyOfInput({ sidecar, outbound, services, mesh }: SidecarInput): string {
  const { filters, ports, egress, ...rest } = outbound
  return [
    JSON.stringify([sidecar.form, rest, [...filters].sort()]),
    JSON.stringify(sidecar.form.inbound.map(({ service }) => services.get(service)?.protocol)),
    digestOf(ports),
    JSON.stringify(egress, withKeys) ?? '',
    digestOf(mesh),
  ].join('\n')
}
