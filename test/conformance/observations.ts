/** What must hold of every response, whatever a case is about: watched in all of them, and scored once. */
import type { Level, Protocol } from './case.ts'
import type { Response } from './wire.ts'

export interface Observation {
  readonly level: Level
  readonly rule: number
  readonly title: string
  /** What broke it, if anything did: the first one. */
  readonly broken?: string
}

const rules = {
  nonce: {
    level: 'must',
    rule: 11,
    title: 'Throughout: no response is without a nonce, and no nonce comes twice on a stream',
  },
  version: { level: 'should', rule: 33, title: 'Throughout: no SotW response is without a version' },
  twice: { level: 'must', rule: 35, title: 'Throughout: no response has a name twice' },
  type: { level: 'must', rule: 36, title: 'Throughout: every resource is of the type of its response' },
  resourceVersion: {
    level: 'must',
    rule: 55,
    title: 'Throughout: every resource with a body has a version in delta',
  },
} as const satisfies Readonly<Record<string, Observation>>

type RuleName = keyof typeof rules

export class Observations {
  readonly #broken = new Map<RuleName, string>()

  /** @param before the nonces that came on this stream */
  watch(response: Response, protocol: Protocol, before: ReadonlySet<string>, where: string): void {
    const { type, nonce, version, resources, removed } = response
    const check = (rule: RuleName, isGood: boolean, what: string): void => {
      if (!isGood && !this.#broken.has(rule)) this.#broken.set(rule, `${what}, in: ${where}`)
    }
    check('nonce', nonce !== '', `a response of ${type} has no nonce`)
    check('nonce', !before.has(nonce), `the nonce ${nonce} of ${type} came before`)
    if (protocol === 'sotw') check('version', version !== '', `a response of ${type} has no version`)
    const names = [...resources.map(({ name }) => name), ...removed]
    check('twice', new Set(names).size === names.length, `of ${type} came ${names.join(' ')}`)
    for (const one of resources) {
      if (one.bytes === undefined) continue
      check('type', one.type === type, `${one.name} in a response of ${type} is a ${one.type}`)
      if (protocol === 'delta') check('resourceVersion', one.version !== '', `the ${type} ${one.name} has no version`)
    }
  }

  results(): readonly Observation[] {
    return (Object.keys(rules) as RuleName[]).map((name) => {
      const broken = this.#broken.get(name)
      return { ...rules[name], ...(broken !== undefined && { broken }) }
    })
  }
}
