import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { PatchForm } from '../../config/kinds/patch-form.ts'
import { nearestName } from '../../resource/json/near-name.ts'
import type { PlacedProblem } from '../build-generated.ts'

/**
 * `patch`: nothing of the name is generated.
 * @param names of what is generated of the type
 */
export function absentTarget({ key, form }: KindDocument<PatchForm>, names: readonly string[]): PlacedProblem {
  const { type, name } = form.target
  const near = nearestName(name, names)
  const hint = 'A raw resource is changed where it stands; `fairlead explain` prints what a document becomes.'
  return {
    severity: 'error',
    code: 'patch',
    at: { key, path: 'target.name' },
    message: `No document becomes a ${type} ${name}.`,
    fix: near === undefined ? hint : `Did you mean \`${near}\`?`,
  }
}

/**
 * `no-effect`: it is generated, and nothing brings it to a proxy. A warning, as a Route elsewhere decides it.
 * @param served of the type, what proxies get of the document that becomes the target
 */
export function unservedTarget({ key, form }: KindDocument<PatchForm>, served: readonly string[]): PlacedProblem {
  const { type, name } = form.target
  const names = served.map((one) => `\`${one}\``).join(', ')
  const hint = 'It takes effect as soon as a Route, a listener, a Sidecar or a raw document brings that to a proxy.'
  return {
    severity: 'warning',
    code: 'no-effect',
    at: { key, path: 'target.name' },
    message: `No proxy gets the ${type} ${name}, so that changing it changes nothing.`,
    fix: served.length === 0 ? hint : `Proxies get ${names} of it: write a Patch for each that you mean.`,
  }
}
