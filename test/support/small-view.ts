import { fieldsOf } from '../../src/resource/references/wire-field.ts'
import { buildResource, type Resource } from '../../src/resource/resource.ts'
import { type ResourceWord, resourceTypes, type TypeUrl, wordOf } from '../../src/resource/type-url.ts'
import { setOfResources } from '../../src/snapshot/resource-set.ts'
import { buildSnapshot, type Snapshot } from '../../src/snapshot/snapshot.ts'
import { additionOrder, setIn, type View } from '../../src/xds/transition/view.ts'

const origin = { name: 'test.yaml' }

/**
 * `cluster x=1`, `route r=2 > cluster x > cluster y`: a type, a name, a content, and what it names. A listener may be at
 * addresses: `listener l=1@80@81 > route r`.
 */
export function smallResource(text: string): Resource {
  const [what = '', ...targets] = text.split(' > ')
  const [word = '', described = ''] = what.split(' ')
  const [nameAndContent = '', ...addresses] = described.split('@')
  const [name = '', content = ''] = nameAndContent.split('=')
  const { typeUrl } = resourceTypes[word as ResourceWord]
  const references = targets.map((target) => {
    const [targetWord, targetName = ''] = target.split(' ')
    return { typeUrl: resourceTypes[targetWord as ResourceWord].typeUrl, name: targetName, path: 'somewhere' }
  })
  const bytes = Buffer.concat([
    encoded(textField, [content, ...targets].join(' > ')),
    ...addresses.map((address) => encoded(addressField, encoded(pipeField, address))),
  ])
  return buildResource({ typeUrl, name, bytes, origin, references })
}

/** Fields of every message, of `Listener` and of `Address`. */
const [textField, addressField, pipeField] = [1, 2, 2]

function encoded(field: number, content: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from([field * 8 + 2, content.length]), Buffer.from(content)])
}

/** A snapshot of such resources, the later ones in place of earlier ones of their name. */
export function smallView(...texts: readonly string[]): Snapshot {
  const byType = new Map<TypeUrl, Resource[]>()
  for (const resource of texts.map(smallResource)) {
    byType.set(resource.typeUrl, [...(byType.get(resource.typeUrl) ?? []), resource])
  }
  return buildSnapshot([...byType].map(([typeUrl, resources]) => setOfResources(typeUrl, resources)))
}

/** `cluster x=1`, in the order of types and names. */
export function showView(view: View): readonly string[] {
  return additionOrder.flatMap((typeUrl) =>
    [...setIn(view, typeUrl).values()].map(({ name, bytes }) => `${wordOf(typeUrl)} ${name}=${textOf(bytes)}`),
  )
}

/** Its content, and the addresses behind it. */
function textOf(bytes: Uint8Array): string {
  const [text, ...addresses] = fieldsOf(bytes).map((field) => field.bytes)
  const content = Buffer.from(text ?? [])
    .toString()
    .split(' ')[0]
  const places = addresses.map((address) => Buffer.from(fieldsOf(address)[0]?.bytes ?? []).toString())
  return [content, ...places].join('@')
}
