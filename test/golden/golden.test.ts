import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { buildStaticConfig, type GroupResources } from '../../src/cli/static-config.ts'
import { formatOrigin } from '../../src/errors.ts'
import { loadEnvoyApi } from '../../src/resource/envoy-api.ts'
import { messageToJson } from '../../src/resource/json/codec.ts'
import { resourceTypes, wordOf } from '../../src/resource/type-url.ts'
import type { Unit } from '../../src/snapshot/world.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../support/certificates.ts'
import { findEnvoy } from '../support/envoy-binary.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { type Translated, translated } from '../support/translated.ts'
import { validateWithEnvoy } from '../support/validate-with-envoy.ts'

/** What documents become, kept beside them: `UPDATE_GOLDEN=1` writes what is there now, to be read before it is committed. */
const directory = import.meta.dirname
const isUpdating = process.env['UPDATE_GOLDEN'] === '1'
const api = loadEnvoyApi()

const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml') && !file.endsWith('.golden.yaml'))
  .sort()

const resultOf = (file: string): Translated =>
  translated(api, readFileSync(join(directory, file), 'utf8'), basename(file), attached)

/** The files that documents name: each time others, which the goldens call by their names. */
const attached = mkdtempSync(join(tmpdir(), 'fairlead-golden-'))
const authority = await createAuthority()
for (const name of ['shop', 'pay']) {
  const sans = [`${name}.example`, `*.${name}.example`]
  writeCertificate(attached, name, await authority.issue({ name, sans, validForMs: 90 * 86_400_000 }))
}
writeAuthorities(attached, 'ca', [authority])
const pems = readdirSync(attached).map((name) => [readFileSync(join(attached, name), 'utf8').trim(), name] as const)
afterAll(() => rmSync(attached, { recursive: true }))

/** With the names of files in place of what they hold. */
function withoutPem(value: unknown): unknown {
  if (typeof value === 'string') {
    const [, name] = pems.find(([pem]) => pem.replaceAll(/\s/g, '') === value.replaceAll(/\s/g, '')) ?? []
    return name === undefined ? value : `<${name}>`
  }
  if (Array.isArray(value)) return value.map(withoutPem)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutPem(item)]))
}

function jsonOf({ typeUrl, bytes }: Unit['resources'][number]): GroupResources['cluster'][number] {
  const { '@type': _, ...fields } = messageToJson(api, typeUrl, bytes) as GroupResources['cluster'][number]
  return fields
}

function textOf({ units, problems }: Translated): string {
  return stringify(
    {
      problems: problems.map(
        ({ code, origin, path, message }) => `${formatOrigin(origin)} ${path} ${code}: ${message}`,
      ),
      units: Object.fromEntries(
        units.map(({ key, selectors, resources }) => [
          key,
          { nodes: selectors, resources: resources.map((one) => ({ [wordOf(one.typeUrl)]: withoutPem(jsonOf(one)) })) },
        ]),
      ),
    },
    { lineWidth: 120, aliasDuplicateObjects: false },
  )
}

/** The regions that something is different in, and one that nothing knows. */
function regionsOf(units: readonly Unit[]): readonly string[] {
  return [...new Set(['', ...units.flatMap(({ selectors }) => selectors.flatMap(({ region }) => region ?? []))])]
}

const isFor = ({ region = '', notRegions = [] }: Unit['selectors'][number], wanted: string): boolean =>
  region === '' ? !notRegions.includes(wanted) : region === wanted

describe('documents become what stands beside them', () => {
  test.each(files)('%s', (file) => {
    const golden = join(directory, file.replace(/\.yaml$/, '.golden.yaml'))
    const text = textOf(resultOf(file))
    if (isUpdating) writeFileSync(golden, text)
    expect(text).toBe(readFileSync(golden, 'utf8'))
  })
})

describeWithEnvoy('a stock Envoy takes', () => {
  test.each(files)('what %s becomes', (file) => {
    const { units } = resultOf(file)
    expect(units.length).toBeGreaterThan(0)
    for (const region of regionsOf(units)) {
      const own = units.filter(({ selectors }) => selectors.some((one) => isFor(one, region)))
      const resources = own.flatMap((unit) => unit.resources)
      const list = (word: keyof GroupResources): GroupResources['cluster'] =>
        resources.filter(({ typeUrl }) => typeUrl === resourceTypes[word].typeUrl).map(jsonOf)
      const group = {
        cluster: list('cluster'),
        endpoint: list('endpoint'),
        listener: list('listener'),
        route: list('route'),
        secret: list('secret'),
      }
      expect(validateWithEnvoy(findEnvoy() as string, buildStaticConfig(group, [])), region).toBe('')
    }
  })
})
