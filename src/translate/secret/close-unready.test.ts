import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority, writeCertificate } from '../../../test/support/certificates.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { createAttachments } from '../../attachments.ts'
import { parseDocument } from '../../config/parse-document.ts'
import { changesOf } from '../../document-ledger.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { createWorld, type WorldStep } from '../../snapshot/world.ts'
import { createMesh } from '../mesh.ts'

const api = loadEnvoyApi()
const authority = await createAuthority()

/** A server on a directory, without the server. */
function bed() {
  const directory = tempDir()
  const mesh = createMesh(api)
  const world = createWorld({ staticNames: {}, allowPartial: true, judge: (candidate) => mesh.try(candidate) })
  const { parse } = createAttachments({
    api,
    parse: (document) => parseDocument(api, document),
    inForce: world.inForce,
    directoryOf: () => directory,
    allowed: [],
  })
  let isFirst = true
  const told = ({ problems }: WorldStep): readonly string[] =>
    problems.map(({ severity, code, origin, path }) => `${severity} ${code} ${origin.name} ${path}`)
  return {
    issue: async (name: string): Promise<void> =>
      void writeCertificate(directory, name, await authority.issue({ name, sans: [`${name}.example`] })),
    /** Reads these texts together; what is told of all but the files. */
    read: (texts: Readonly<Record<string, string>>): readonly string[] => {
      const parsed = Object.entries(texts).map(([name, text]) =>
        parse({ id: `file:${name}`, origin: { name }, text }, []),
      )
      const step = world.apply(parsed.flatMap(changesOf), { isFirst })
      isFirst = false
      return told(step)
    },
    /** Takes away the text that held one document. */
    delete: (name: string, texts: Readonly<Record<string, string>>): readonly string[] => {
      const changes = Object.entries(texts).flatMap(([file, text]) =>
        changesOf(parse({ id: `file:${file}`, origin: { name: file }, text }, [])),
      )
      const key = [...world.inForce.keys()].find((one) => one.includes(name)) as string
      return told(world.apply([...changes, { kind: 'deleted', key }], { isFirst: false }))
    },
    served: (): readonly string[] =>
      [...world.generated.values()].flatMap(({ resources }) =>
        resources.flatMap(({ typeUrl, name, version }) =>
          /(Listener|Cluster)$/.test(typeUrl) ? [`${name} ${version}`] : [],
        ),
      ),
    directory,
  }
}

const secret = (name: string, files = name): string =>
  `kind: Secret\nname: ${name}\ncertificate: {chain: {file: ${files}.crt}, key: {file: ${files}.key}}\n`
const gateway = (...listeners: readonly string[]): string =>
  `kind: Gateway\nname: edge\nnodes: {cluster: edge}\nlisteners:\n${listeners.map((one) => `- {${one}}\n`).join('')}`
const https = (name: string, tls: string, more = ''): string => `name: ${name}, port: 443, tls: ${tls}${more}`

test('a Gateway that would lose a listener for want of a Secret stays as it was, until its files are right', async () => {
  const { issue, read, served } = bed()
  await issue('shop')
  expect(read({ shop: secret('shop'), pay: secret('pay'), edge: gateway(https('a', 'shop')) })).toEqual([])
  const before = served()
  expect(read({ edge: gateway(https('a', 'pay')) })).toEqual(['error file edge listeners[0].tls'])
  expect(served()).toEqual(before)
  // Together with something else of it, too; and the same again changes nothing.
  expect(read({ edge: gateway(https('a', 'pay'), 'name: b, port: 80') })).toEqual(['error file edge listeners[0].tls'])
  expect(served()).toEqual(before)
  await issue('pay')
  expect(read({ pay: secret('pay') })).toEqual([])
  expect(served().map((one) => one.split(' ')[0])).toEqual(['edge/a', 'edge/b'])
})

test('one that adds a listener, or whose listener waited before, is taken', async () => {
  const { issue, read, served } = bed()
  await issue('shop')
  const edge = gateway(https('a', 'pay', ', hosts: pay.example'), 'name: b, port: 80')
  expect(read({ shop: secret('shop'), pay: secret('pay'), edge })).toEqual(['warning withheld edge listeners[0].tls'])
  expect(served().map((one) => one.split(' ')[0])).toEqual(['edge/b'])
  const more = gateway('name: b, port: 80', https('a', 'pay', ', hosts: pay.example'), 'name: c, port: 81')
  expect(read({ edge: more })).toEqual(['warning withheld edge listeners[1].tls'])
  expect(served().map((one) => one.split(' ')[0])).toEqual(['edge/b', 'edge/c'])
  // What nobody is served by is no excuse for a loss.
  const less = gateway(https('b', 'pay').replace('443', '80'), https('a', 'pay', ', hosts: pay.example'))
  expect(read({ edge: less })).toEqual(['error file edge listeners[0].tls', 'error file edge listeners[1].tls'])
  expect(served().map((one) => one.split(' ')[0])).toEqual(['edge/b', 'edge/c'])
})

test('a Service that would lose its endpoints stays as it was, and a Secret that moves to where its files are not', async () => {
  const { issue, read, served, ...more } = bed()
  await issue('own')
  const service = (tls: string): string =>
    `kind: Service\nname: cart\nprotocol: tcp\nendpoints: {address: 10.0.0.1, port: 1}\n${tls}`
  const mutual = (name: string): string => `tls: {ca: ca, secret: ${name}, sni: cart}\n`
  const ca = 'kind: Secret\nname: ca\nca: {file: own.crt}\n'
  const route =
    'kind: Gateway\nname: edge\nnodes: {cluster: edge}\nlisteners: [{name: t, port: 1, protocol: tcp, service: cart}]\n'
  expect(read({ ca, own: secret('own'), lost: secret('lost'), cart: service(mutual('own')), route })).toEqual([])
  const before = served()
  expect(read({ cart: service(mutual('lost')) })).toEqual(['error file cart tls.secret'])
  expect(served()).toEqual(before)
  expect(read({ cart: service(mutual('own')) })).toEqual([])

  // A document is another one where it stands in another file.
  expect(more.delete('file:own', { moved: secret('own', join('elsewhere', 'own')) })).toEqual([
    'error file cart tls.secret',
    'error file moved ',
    'error file own ',
  ])
  expect(served()).toEqual(before)
})

const hosts = (...names: readonly string[]): string => `, hosts: ${JSON.stringify(names)}`

test('a host that nobody was served by may wait on a port where others are served, as it does for a new server', async () => {
  const [grown, fresh] = [bed(), bed()]
  for (const { issue } of [grown, fresh]) await issue('shop')
  const secrets = { shop: secret('shop'), pay: secret('pay') }
  const a = https('a', 'shop', hosts('shop.example'))
  expect(grown.read({ ...secrets, edge: gateway(a) })).toEqual([])
  const names = (served: readonly string[]): readonly string[] => served.map((one) => one.replace(/ .*/, ''))
  for (const waiting of [hosts('pay.example'), hosts('api.example', 'pay.example')]) {
    const both = gateway(a, https('b', 'pay', waiting))
    expect(grown.read({ edge: both })).toEqual(['warning withheld edge listeners[1].tls'])
    expect(fresh.read({ ...secrets, edge: both })).toEqual(['warning withheld edge listeners[1].tls'])
    expect(grown.served().map((one) => one.split(' ')[1])).toEqual(fresh.served().map((one) => one.split(' ')[1]))
    expect(names(grown.served())).toEqual(['edge/a'])
  }
})

test.each<[string, string]>([
  ['moves to a part that waits', hosts('api.example', 'shop.example')],
  ['is within a pattern that waits', hosts('*.example')],
])('a host that is served, and %s, stays where it is', async (_, waiting) => {
  const { issue, read, served } = bed()
  await issue('shop')
  const api = https('b', 'pay', hosts('api.example'))
  const edge = gateway(https('a', 'shop', hosts('shop.example')), api)
  expect(read({ shop: secret('shop'), pay: secret('pay'), edge })).toEqual(['warning withheld edge listeners[1].tls'])
  const before = served()
  const moved = gateway(https('a', 'shop', hosts('old.example')), https('b', 'pay', waiting))
  expect(read({ edge: moved })).toEqual(['error file edge listeners[1].tls'])
  expect(served()).toEqual(before)
})

test.each<[string, string, string]>([
  ['that is called otherwise', https('a', 'shop'), https('b', 'pay')],
  ['that took every name', https('a', 'shop'), https('a', 'pay', hosts('pay.example'))],
  ['that spoke no TLS', 'name: a, port: 443', https('b', 'pay')],
])('a port does not lose its only listener to one %s', async (_, before, after) => {
  const { issue, read, served } = bed()
  await issue('shop')
  expect(read({ shop: secret('shop'), pay: secret('pay'), edge: gateway(before) })).toEqual([])
  const old = served()
  expect(read({ edge: gateway(after) })).toEqual(['error file edge listeners[0].tls'])
  expect(served()).toEqual(old)
  await issue('pay')
  expect(read({ pay: secret('pay') })).toEqual([])
  expect(served()).not.toEqual(old)
})
