import { isDeepStrictEqual } from 'node:util'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { Kind } from '../../config/kinds/kind-form.ts'
import { areDisjoint, impliesSelector, type NodeSelector } from '../../resource/node-selector.ts'
import { listenerAddresses } from '../../resource/references/listener-address.ts'
import type { Resource } from '../../resource/resource.ts'
import { pathText, type Shape, shapeOf } from '../../resource/selector-shape.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { Reads, Rule } from '../cells.ts'
import { inboundName } from '../names.ts'

/** A listener, and what it binds: equal addresses are equal texts. */
interface Bound {
  readonly listener: string
  readonly addresses: readonly string[]
  /** Where it is found: as many proxies as there are workloads bind the same address, each for itself. */
  readonly places: readonly string[]
}

export interface AddressRules {
  /** By kind and name of the proxy: `Gateway/edge`. */
  readonly bound: Rule<readonly Bound[]>
  readonly addressConflicts: Rule<readonly PlacedProblem[]>
}

/** Two listeners cannot have one address on one node: Envoy rejects the second, whichever that is. */
export function addressRules(
  proxy: Rule<{ readonly resources: readonly Resource[] }>,
  nodes: Rule<readonly NodeSelector[]>,
): AddressRules {
  const bound: Rule<readonly Bound[]> = {
    name: 'bound',
    level: 6,
    compute(read, key) {
      const places = allOf(read.get(nodes, key), placesOf)
      return read
        .get(proxy, key)
        .resources.flatMap((resource) =>
          resource.typeUrl === resourceTypes.listener.typeUrl
            ? [{ listener: resource.name, addresses: listenerAddresses(resource), places }]
            : [],
        )
    },
    isSame: isDeepStrictEqual,
    facts: (listeners) =>
      listeners.flatMap(({ addresses, places }) =>
        addresses.flatMap((address) => places.map((place) => ['bound by', `${address} ${place}`] as const)),
      ),
  }

  /** What the selectors of all proxies ask for: as many as there are ways of choosing one. */
  const shapes: Rule<readonly Shape[]> = {
    name: 'shapes',
    level: 2,
    compute(read) {
      const keys = [
        ...read.members('gateways', '').map((name) => `Gateway/${name}`),
        ...read.members('sidecars', '').map((name) => `Sidecar/${name}`),
      ]
      const found = new Map<string, Shape>()
      for (const selector of keys.flatMap((key) => read.get(nodes, key))) {
        const { key, paths } = shapeOf(selector)
        if (!found.has(key)) found.set(key, { key, paths })
      }
      return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    },
    isSame: isDeepStrictEqual,
  }

  const addressConflicts: Rule<readonly PlacedProblem[]> = {
    name: 'address conflicts',
    level: 7,
    compute(read, key) {
      const own = read.get(nodes, key)
      const all = read.get(shapes, '')
      const near = allOf(own, (selector) => placesNear(selector, all))
      return read.get(bound, key).flatMap(({ listener, addresses }) =>
        addresses.flatMap((address): readonly PlacedProblem[] => {
          // Of two the one that comes later by name is told.
          const members = new Set(near.flatMap((place) => read.members('bound by', `${address} ${place}`)))
          const rivals = [...members].filter((other) => other < key).sort()
          const meetings = rivals.map((rival) => ({ rival, meeting: meetingOf(own, read.get(nodes, rival)) }))
          const worst =
            meetings.find(({ meeting }) => meeting === 'sure') ?? meetings.find(({ meeting }) => meeting === 'possible')
          return worst === undefined ? [] : taken(read, key, listener, worst.rival, worst.meeting === 'sure')
        }),
      )
    },
    isSame: isDeepStrictEqual,
  }
  return { bound, addressConflicts }
}

const placeOf = (shape: string, ...values: readonly string[]): string => JSON.stringify([shape, ...values])

/** Under its shape alone, under each of its values, and under all of them. */
function placesOf(selector: NodeSelector): readonly string[] {
  const { key, values } = shapeOf(selector)
  return [placeOf(key), ...[...values].map((one) => placeOf(key, ...one)), placeOf(key, ...[...values].flat())]
}

/**
 * Where those are found that may be on a node of a selector: of each shape those that agree with it on what both ask for,
 * be it on one value, or on all that the shape has.
 */
function placesNear(selector: NodeSelector, shapes: readonly Shape[]): readonly string[] {
  const { values } = shapeOf(selector)
  return shapes.map(({ key, paths }) => {
    const common = paths.map(pathText).flatMap((path) => {
      const value = values.get(path)
      return value === undefined ? [] : [[path, value]]
    })
    return placeOf(key, ...(common.length === paths.length ? common : common.slice(0, 1)).flat())
  })
}

function allOf(
  selectors: readonly NodeSelector[],
  places: (selector: NodeSelector) => readonly string[],
): readonly string[] {
  return [...new Set(selectors.flatMap(places))].sort()
}

/** Whether some node is of both. */
function meetingOf(a: readonly NodeSelector[], b: readonly NodeSelector[]): 'sure' | 'possible' | 'never' {
  const pairs = a.flatMap((x) => b.map((y) => [x, y] as const))
  if (pairs.some(([x, y]) => impliesSelector(x, y) || impliesSelector(y, x))) return 'sure'
  return pairs.every(([x, y]) => areDisjoint(x, y)) ? 'never' : 'possible'
}

function taken(read: Reads, key: string, listener: string, rival: string, isSure: boolean): readonly PlacedProblem[] {
  const document = documentOf(read, key)
  if (document === undefined) return []
  const [kind, name] = partsOf(rival)
  const message = `The ${kind} ${name} listens on the address of the listener ${listener} already, and ${isSure ? 'some' : 'perhaps some'} node gets both.`
  const fix = 'Give one of them another port, or other `nodes`.'
  return [
    {
      severity: isSure ? 'error' : 'warning',
      code: 'conflict',
      at: { key: document.key, path: pathOf(document, listener) },
      message,
      fix,
    },
  ]
}

function pathOf({ form }: KindDocument, listener: string): string {
  if (form.kind === 'Sidecar') {
    const index = form.inbound.findIndex(
      ({ service }) => listener === inboundName(form.name, service === form.service ? undefined : service),
    )
    return index < 0 ? 'outbound' : `inbound[${index}].port`
  }
  if (form.kind !== 'Gateway') return ''
  const index = form.listeners.findIndex(({ name }) => listener === `${form.name}/${name}`)
  return index < 0 ? 'listeners' : `listeners[${index}].port`
}

function documentOf(read: Reads, key: string): KindDocument | undefined {
  return read.input(...partsOf(key)) as KindDocument | undefined
}

function partsOf(key: string): [kind: Kind, name: string] {
  const slash = key.indexOf('/')
  return [key.slice(0, slash) as Kind, key.slice(slash + 1)]
}
