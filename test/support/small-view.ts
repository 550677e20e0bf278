import { buildResource, type Resource } from '../../src/resource/resource.ts'
import { type ResourceWord, resourceTypes, type TypeUrl, wordOf } from '../../src/resource/type-url.ts'
import { setOfResources } from '../../src/snapshot/resource-set.ts'
import { buildSnapshot, type Snapshot } from '../../src/snapshot/snapshot.ts'
import { additionOrder, setIn, type View } from '../../src/xds/transition/view.ts'

const origin = { name: 'test.yaml' }

/** `cluster x=1`, `route r=2 > cluster x > cluster y`: a type, a name, a content, and what it names. */
export function smallResource(text: string): Resource {
  const [what = '', ...targets] = text.split(' > ')
  const [word = '', nameAndContent = ''] = what.split(' ')
  const [name = '', content = ''] = nameAndContent.split('=')
  const { typeUrl } = resourceTypes[word as ResourceWord]
  const references = targets.map((target) => {
    const [targetWord, targetName = ''] = target.split(' ')
    return { typeUrl: resourceTypes[targetWord as ResourceWord].typeUrl, name: targetName, path: 'somewhere' }
  })
  return buildResource({ typeUrl, name, bytes: Buffer.from([content, ...targets].join(' > ')), origin, references })
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
    [...setIn(view, typeUrl).values()].map(
      ({ name, bytes }) => `${wordOf(typeUrl)} ${name}=${Buffer.from(bytes).toString().split(' ')[0]}`,
    ),
  )
}
