import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formatOrigin } from '../src/errors.ts'
import { loadEnvoyApi } from '../src/resource/envoy-api.ts'
import { wordOf } from '../src/resource/type-url.ts'
import { createAuthority, writeCertificate } from './support/certificates.ts'
import { tempDir } from './support/temp.ts'
import { translated } from './support/translated.ts'

const page = readFileSync(join(import.meta.dirname, '../src/config/kinds/model-kinds.yaml.txt'), 'utf8')
const isAbout = (kind: string) => (text: string) => text.startsWith(`kind: ${kind} `)

/** The page's documents without what is refused by name. */
const documents = page
  .replace(/^trustDomain:.*\n/m, '')
  .replace('mtls: permissive', 'mtls: disabled')
  .replace(/^ {2}rateLimit:.*\n/m, '')
  .split(/^---\n/m)
  .filter((text) => !isAbout('Policy')(text))

/** What the page names and leaves to its reader. */
const others = ['cart-static', 'catalog', 'payments', 'postgres'].map(
  (name, index) => `kind: Service\nname: ${name}\nendpoints: [{address: 10.0.1.${index}, port: 80}]\n`,
)

const api = loadEnvoyApi()

async function become(texts: readonly string[]): Promise<ReturnType<typeof translated>> {
  const directory = tempDir()
  const authority = await createAuthority()
  writeCertificate(
    directory,
    'tls',
    await authority.issue({ name: 'shop', sans: ['*.shop.example'], validForMs: 90 * 86_400_000 }),
  )
  return translated(api, [...texts, ...others].join('---\n'), 'shop.yaml', directory)
}

test('all that the model of kinds shows takes effect together, but for a Patch of a cluster whose versions alone are named', async () => {
  const { units, problems } = await become(documents)
  const told = problems.map(
    ({ severity, code, path, message, fix }) => `${severity} ${code} ${path}: ${message} ${fix}`,
  )
  expect(told).toEqual([
    'warning no-effect target.name: No proxy gets the cluster cart, so that changing it changes nothing. ' +
      'Proxies get `cart/v1`, `cart/v2` of it: write a Patch for each that you mean.',
  ])
  const line = documents.join('---\n').split('\n').indexOf('target: {type: cluster, name: cart}')
  expect(problems.map(({ origin }) => formatOrigin(origin))).toEqual([`shop.yaml:${line + 1}:31`])
  const names = units.flatMap(({ resources }) => resources.map((one) => `${wordOf(one.typeUrl)} ${one.name}`))
  expect([...new Set(names)].sort()).toEqual([
    'cluster cart-static',
    'cluster cart/app',
    'cluster cart/v1',
    'cluster cart/v1+cart/v2+cart-static',
    'cluster cart/v2',
    'cluster cart/v2+cart/v1+cart-static',
    'cluster catalog',
    'cluster mesh/otlp',
    'cluster payments',
    'cluster postgres',
    'endpoint cart-static',
    'endpoint cart/local',
    'endpoint cart/v1',
    'endpoint cart/v2',
    'endpoint catalog',
    'endpoint payments',
    'endpoint postgres',
    'listener cart/inbound',
    'listener cart/outbound',
    'listener edge/db',
    'listener edge/http',
    'listener edge/https',
    'route cart/outbound',
    'route edge/http',
    'route edge/https',
    'secret shop-cert',
  ])
})

test('without that Patch nothing is told of it', async () => {
  expect((await become(documents.filter((text) => !isAbout('Patch')(text)))).problems).toEqual([])
})
