import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { kindUnit, sidecarForm } from '../../../test/support/kind-unit.ts'
import { eventually } from '../../../test/support/poll.ts'
import { kindOf } from '../../config/kinds/kind-document.ts'
import { parseDocument } from '../../config/parse-document.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { createWorld, type Unit, type UnitChange } from '../../snapshot/world.ts'
import type { SidecarInput } from '../contract.ts'
import { createMesh } from '../mesh.ts'
import { buildAlikeSidecar } from './alike-sidecars.ts'

const api = loadEnvoyApi()

interface Bed {
  put(text: string): readonly string[]
  readonly units: ReadonlyMap<string, Unit>
}

/** @param isByItself each resource is made of its own JSON, as where somebody is shown it */
function bed(isByItself: boolean): Bed {
  const mesh = createMesh(
    api,
    [],
    (error) => {
      throw error
    },
    isByItself ? () => {} : undefined,
  )
  const world = createWorld({ staticNames: {}, allowPartial: true, judge: (candidate) => mesh.try(candidate) })
  return {
    put(text) {
      const id = text.slice(0, text.indexOf('\n'))
      const { documents, invalid, problems } = parseDocument(api, { id, origin: { name: id }, text })
      expect([problems, invalid]).toEqual([[], []])
      const changes = documents.map((unit): UnitChange => ({ kind: 'valid', unit }))
      return world.apply(changes, { isFirst: false }).problems.map(({ message }) => message)
    },
    units: world.generated,
  }
}

/** The version stands for the bytes. */
function contentOf(unit: Unit | undefined): unknown {
  const resources = unit?.resources.map((one) => ({ ...one, bytes: '', sotwFrame: '', deltaFrame: '' }))
  return { ...unit, resources }
}

const services = [
  'kind: Service\nname: pay\nport: 80\nendpoints: {address: 10.0.0.1, port: 8080}\n',
  'kind: Service\nname: calls\nprotocol: grpc\nport: 80\nendpoints: {address: 10.0.0.2, port: 8080}\n',
  'kind: Service\nname: db\nprotocol: tcp\naddress: 10.9.0.1\nport: 5432\nendpoints: {address: 10.0.0.3, port: 5432}\n',
  'kind: Route\nname: pay\nhosts: pay\nrules: {backends: pay, timeout: 3s, cors: {origins: "https://shop.example"}}\n',
]

/** Of a Sidecar that is called `<name>`. */
const forms: readonly string[] = [
  'outbound: {services: [pay]}',
  'outbound: {services: [pay, calls, db], port: 15009}\ncapture: iptables',
  'outbound: {services: [db], egress: {hosts: [api.example]}}\naccessLog: {format: json}',
  'outbound: {unknown: allow}\ncapture: iptables',
  'outbound: {services: [calls]}\ndefaults: {timeout: 7s}',
  '',
  'capture: iptables',
]

/** Whoever it is for has two names, which may be one. */
const sidecar = (form: string, index: number, name: string, service: string): string =>
  [
    'kind: Sidecar',
    `name: ${name}`,
    `nodes: {cluster: ${name}}`,
    ...(service === '' ? [] : [`service: ${service}`]),
    ...(service === '' ? [] : [`inbound:\n- {port: ${15100 + index}, app: "127.0.0.1:80${index}1"}`]),
    ...(service === '' ? [] : [`- {port: ${15200 + index}, app: "127.0.0.1:80${index}2", service: db}`]),
    form,
    '',
  ].join('\n')

const meshes: readonly string[] = [
  'outbound: deny\n',
  'accessLog: {format: json}\n',
  'tracing: {otlp: "collector.example:4317", sample: 5%}\negress: {hosts: [a.example, "*.b.example"]}\n',
  'defaults: {timeout: 4s, retry: {attempts: 3}}\n',
]

test('what sidecars become that are alike is what each of them becomes by itself', () => {
  const [shared, single] = [bed(false), bed(true)]
  const put = (text: string): void => {
    expect(shared.put(text), text).toEqual(single.put(text))
  }
  const sidecars = forms.flatMap((form, index) =>
    ['mesh', `a-${'long'.repeat(12)}`].flatMap((name) =>
      ['pay', 'calls', ''].map((service) =>
        sidecar(form, index, `${name}-${index}-${service}`.replace(/-$/, ''), service),
      ),
    ),
  )
  put([...services, ...sidecars, sidecar(forms[0] as string, 0, 'pay', 'pay')].join('---\n'))
  for (const text of meshes) {
    put(`kind: Mesh\nname: mesh\n${text}`)
    expect(shared.units.size).toBeGreaterThan(45)
    expect([...shared.units.keys()].sort()).toEqual([...single.units.keys()].sort())
    for (const [key, unit] of shared.units) expect(contentOf(unit), key).toEqual(contentOf(single.units.get(key)))
  }
})

const [cartSidecar] = kindUnit(sidecarForm('cart', ['cart'], undefined)).resources
const cart = cartSidecar && (kindOf(cartSidecar) as SidecarInput['sidecar'])

/** What a Sidecar becomes that may call a thousand Services, each by a port: a million characters. */
function becomes(firstPort: number): WeakRef<object> {
  const ports = Array.from({ length: 1000 }, (_, index) => ({
    address: '10.0.0.1',
    port: firstPort + index,
    service: { name: `service-${index}`, protocol: 'tcp' as const, hosts: [] },
  }))
  const [first] = buildAlikeSidecar({
    sidecar: cart as SidecarInput['sidecar'],
    outbound: { routes: 'mesh', filters: new Set(), ports, passthrough: undefined, egress: undefined },
    services: { get: () => undefined },
    mesh: { accessLog: undefined, tracing: undefined, defaults: {}, connectTimeout: undefined, outbound: 'deny' },
  })
  return new WeakRef(first?.alike?.json as object)
}

test('what a Sidecar became before its Services changed is not kept for ever', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const known = Array.from({ length: 16 }, (_, change) => becomes(10_000 + change))
  await eventually(() => {
    collectGarbage()
    expect(known.filter((one) => one.deref() !== undefined).length).toBeLessThan(10)
  })
  expect(known.at(-1)?.deref(), 'and what it is now is').toBeDefined()
})
