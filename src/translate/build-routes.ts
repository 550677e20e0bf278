import type { EnvoyApi } from '../resource/envoy-api.ts'
import { buildResource } from '../resource/resource.ts'
import { buildGenerated, type Generated } from './build-generated.ts'
import type { EnvoyJson, SourcePlace } from './envoy-json.ts'

type Fields = Readonly<Record<string, EnvoyJson | undefined>>

interface BuiltHost {
  readonly api: EnvoyApi
  /** Of whom it was made. */
  readonly key: string
  readonly generated: Generated
}

const built = new WeakMap<object, BuiltHost>()

/**
 * Makes a route configuration of its virtual hosts, each of which is checked and encoded by itself and kept as long as its
 * JSON is the same object: of ten thousand only those that changed cost anything. The bytes are those of the whole.
 */
export function buildRoutes(api: EnvoyApi, json: EnvoyJson, from: SourcePlace): Generated {
  const { virtual_hosts: hosts, ...rest } = json as Fields & { readonly virtual_hosts?: readonly EnvoyJson[] }
  const { name } = rest
  if (hosts === undefined || typeof name !== 'string') return buildGenerated(api, 'route', json, from)
  const frame = buildGenerated(api, 'route', rest, from)
  const parts = hosts.map((host) => hostOf(api, name, host, from))
  const documents = new Set(frame.documents)
  for (const part of parts) for (const key of part.documents) documents.add(key)
  const problems = [...frame.problems, ...parts.flatMap((part) => part.problems)]
  const resources = [frame, ...parts].flatMap(({ resource }) => resource ?? [])
  const [head, ...others] = resources
  if (head === undefined || others.length < parts.length) return { documents, problems }
  const nameEnd = endOfFirstField(head.bytes)
  const joined = Buffer.concat([
    head.bytes.subarray(0, nameEnd),
    ...others.map((one) => one.bytes.subarray(endOfFirstField(one.bytes))),
    head.bytes.subarray(nameEnd),
  ])
  const bytes = new Uint8Array(joined.buffer, joined.byteOffset, joined.byteLength)
  const { typeUrl, origin } = head
  const resource = buildResource({
    typeUrl,
    name,
    bytes,
    origin,
    references: resources.flatMap(({ references }) => references),
    isSensitive: resources.some(({ isSensitive }) => isSensitive),
  })
  return { resource, documents, problems }
}

function hostOf(api: EnvoyApi, name: string, host: EnvoyJson, from: SourcePlace): Generated {
  const key = `${name} ${from.document.key} ${from.path}`
  const known = host !== null && typeof host === 'object' ? built.get(host) : undefined
  if (known?.api === api && known.key === key) return known.generated
  const generated = buildGenerated(api, 'route', { name, virtual_hosts: [host] }, from)
  if (host !== null && typeof host === 'object') built.set(host, { api, key, generated })
  return generated
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
