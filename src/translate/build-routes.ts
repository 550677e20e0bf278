import type { EnvoyApi } from '../resource/envoy-api.ts'
import { buildResource } from '../resource/resource.ts'
import { varint } from '../resource/varint.ts'
import { buildGenerated, type Generated, generatedFor } from './build-generated.ts'
import { anyone, type EnvoyJson, type SourcePlace, textOf } from './envoy-json.ts'

type Fields = Readonly<Record<string, EnvoyJson | undefined>>

/** What was made for `anyone`, by each API. */
interface Shared {
  readonly hosts: WeakMap<object, Generated>
  /** By its text: all but the name and the virtual hosts of a route configuration. */
  readonly frames: Map<string, Generated>
}

const sharedBy = new WeakMap<EnvoyApi, Shared>()

/** More ways than there are for route configurations to differ beside their virtual hosts, but for the longest body. */
const framesAtMost = 64

/** Of what several route configurations have; the name of each is put in its place. */
const nobody = 'shared'

/**
 * Makes a route configuration of its virtual hosts, each of which is checked and encoded by itself and kept as long as its
 * JSON is the same object, whichever route configurations have it: of ten thousand only those that changed cost anything,
 * and thousands of sidecars that have the same cost one. The bytes are those of the whole.
 */
export function buildRoutes(api: EnvoyApi, json: EnvoyJson, from: SourcePlace): Generated {
  const { name, virtual_hosts: hosts, ...rest } = json as Fields & { readonly virtual_hosts?: readonly EnvoyJson[] }
  if (hosts === undefined || typeof name !== 'string') return buildGenerated(api, 'route', json, from)
  const shared = sharedBy.get(api) ?? { hosts: new WeakMap<object, Generated>(), frames: new Map<string, Generated>() }
  sharedBy.set(api, shared)
  const frame = frameOf(api, shared, rest)
  const parts = hosts.map((host) => hostOf(api, shared, host))
  const all = [frame, ...parts]
  const documents = new Set(all.flatMap((one) => [...one.documents]))
  const problems = all.flatMap((one) => one.problems)
  const [head, ...others] = all.flatMap(({ resource }) => resource ?? [])
  if (head === undefined || others.length < parts.length) return generatedFor({ documents, problems }, from)
  const joined = Buffer.concat([
    firstField(name),
    ...others.map(({ bytes }) => bytes.subarray(endOfFirstField(bytes))),
    head.bytes.subarray(endOfFirstField(head.bytes)),
  ])
  const resource = buildResource({
    typeUrl: head.typeUrl,
    name,
    bytes: new Uint8Array(joined.buffer, joined.byteOffset, joined.byteLength),
    origin: head.origin,
    references: [head, ...others].flatMap(({ references }) => references),
    isSensitive: [head, ...others].some(({ isSensitive }) => isSensitive),
  })
  return generatedFor({ resource, documents, problems }, from)
}

function hostOf(api: EnvoyApi, { hosts }: Shared, host: EnvoyJson): Generated {
  const known = host !== null && typeof host === 'object' ? hosts.get(host) : undefined
  if (known !== undefined) return known
  const generated = buildGenerated(api, 'route', { name: nobody, virtual_hosts: [host] }, anyone)
  if (host !== null && typeof host === 'object') hosts.set(host, generated)
  return generated
}

function frameOf(api: EnvoyApi, { frames }: Shared, rest: Fields): Generated {
  const key = textOf(rest)
  const known = frames.get(key)
  if (known !== undefined) return known
  if (frames.size >= framesAtMost) frames.clear()
  const frame = buildGenerated(api, 'route', { name: nobody, ...rest }, anyone)
  frames.set(key, frame)
  return frame
}

/** The name, encoded. */
function firstField(name: string): Uint8Array {
  const text = Buffer.from(name)
  return Buffer.concat([Buffer.of(0x0a), varint(text.length), text])
}

/** Behind the name, which is the first field of a route configuration, as its virtual hosts are the second. */
function endOfFirstField(bytes: Uint8Array): number {
  let [length, shift, at] = [0, 0, 1]
  for (;;) {
    const byte = bytes[at++] ?? 0
    length += (byte & 0x7f) << shift
    if (byte < 0x80) return at + length
    shift += 7
  }
}
