import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { describe, expect, it } from 'vitest'
import { envoyResources } from '../../test/support/envoy-resources.ts'
import { describeWithEnvoy } from '../../test/support/needs.ts'
import { tempDir } from '../../test/support/temp.ts'
import { treeOf } from '../../test/support/tree-of.ts'
import { ControlPlaneError } from '../errors.ts'
import { type ImportedApi, importEnvoyApi } from './api-import.ts'
import { type EnvoyApi, loadEnvoyApi, readBuiltInFiles } from './envoy-api.ts'
import { parseResource } from './parse-resource.ts'

const builtIn = readBuiltInFiles().file
const notOurs = builtIn.filter(({ name }) => !name.startsWith('fairlead/'))
const bytesOf = (file: FileDescriptorProto): Uint8Array => toBinary(FileDescriptorProtoSchema, file)

function namesIn({ descriptorSet }: ImportedApi): string[] {
  return fromBinary(FileDescriptorSetSchema, descriptorSet).file.map(({ name }) => name)
}

function load({ descriptorSet }: ImportedApi): EnvoyApi {
  const path = join(tempDir(), 'api.binpb')
  writeFileSync(path, descriptorSet)
  return loadEnvoyApi(path)
}

/** What the API's options make of a resource: its rules, and what it marks sensitive. */
function expectOptionsToWork(api: EnvoyApi): void {
  const parse = (yaml: string): ReturnType<typeof parseResource> => parseResource(api, treeOf(yaml), { name: 'x' }, '')
  for (const yaml of Object.values(envoyResources)) expect(parse(yaml).problems).toEqual([])
  expect(parse(envoyResources['a certificate'] as string).resource?.isSensitive).toBe(true)
  const cluster = "{'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: '', lb_policy: 77}"
  expect(parse(cluster).problems.map(({ path }) => path)).toEqual(['name', 'lb_policy'])
}

/** Bytes in which nothing is a descriptor, though some of it looks like the beginning of one. */
const noise = Buffer.concat([
  Buffer.from('\u007fELF\0\0envoy/config/cluster/v3/cluster.proto\0\n'),
  Buffer.from([0x0a, 0x0c, ...Buffer.from('other.proto\0'), 0x0a, 0x7f, ...Buffer.from('cut.proto')]),
])

describe('a binary', () => {
  const [first, ...others] = notOurs
  const shuffled = [...others].reverse()
  const extra = (name: string, dependency: string[]): Uint8Array =>
    bytesOf(create(FileDescriptorProtoSchema, { name, dependency, syntax: 'proto3' }))
  const binary = Buffer.concat([
    noise,
    ...shuffled.flatMap((file) => [bytesOf(file), Buffer.from([0, 0])]),
    // What follows reads like one more field of the same descriptor, or the next one begins at once.
    bytesOf(first as FileDescriptorProto),
    bytesOf(first as FileDescriptorProto),
    Buffer.from([0x22, 0x02, 0xff, 0xff]),
    extra('envoy/lacking.proto', ['opencensus/absent.proto']),
    extra('envoy/lacking_too.proto', ['envoy/lacking.proto']),
    extra(`envoy/${'long/'.repeat(30)}name.proto`, []),
    noise,
  ])
  const imported = importEnvoyApi(binary)

  it('is searched for every descriptor, each of which stands after its imports', () => {
    const names = namesIn(imported)
    const expected = [...builtIn.map(({ name }) => name), `envoy/${'long/'.repeat(30)}name.proto`]
    expect([...names].sort()).toEqual(expected.sort())
    expect(imported.files).toBe(expected.length)
    expect(imported.envoyFiles).toBe(expected.filter((name) => name.startsWith('envoy/')).length)
    const files = fromBinary(FileDescriptorSetSchema, imported.descriptorSet).file
    for (const [index, { dependency }] of files.entries()) {
      for (const name of dependency) expect(names.slice(0, index)).toContain(name)
    }
  })

  it('has the descriptors that could not be used told by their names', () => {
    expect(imported.leftOut).toEqual(['envoy/lacking.proto', 'envoy/lacking_too.proto'])
  })

  it('keeps the options of its descriptors', () => {
    expectOptionsToWork(load(imported))
  })
})

describe('a descriptor set', () => {
  const set = (file: readonly FileDescriptorProto[]): Uint8Array =>
    toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [...file] }))

  it('is taken in any order, and gets our own messages', () => {
    const imported = importEnvoyApi(set([...notOurs].reverse()))
    expect(namesIn(imported).sort()).toEqual(builtIn.map(({ name }) => name).sort())
    expectOptionsToWork(load(imported))
  })

  it('gets this version’s own messages in place of those of another', () => {
    const old = create(FileDescriptorProtoSchema, { name: 'fairlead/v1/document.proto', package: 'fairlead.v1' })
    const path = join(tempDir(), 'api.binpb')
    writeFileSync(path, set([...notOurs, old]))
    expect(loadEnvoyApi(path).registry.getMessage('fairlead.v1.RawDocument')).toBeDefined()
    expect(load(importEnvoyApi(set([...notOurs, old]))).registry.getMessage('fairlead.v1.RawDocument')).toBeDefined()
  })

  it('may lack the well-known types', () => {
    const imported = importEnvoyApi(set(notOurs.filter(({ name }) => !name.startsWith('google/protobuf/'))))
    expect(imported.leftOut).toEqual([])
    expectOptionsToWork(load(imported))
  })
})

describe('what holds no API is refused', () => {
  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['a program', noise],
    ['text', Buffer.from('static_resources: {}')],
    ['other descriptors', bytesOf(create(FileDescriptorProtoSchema, { name: 'shop/cart.proto' }))],
  ])('%s', (_, bytes) => {
    expect(() => importEnvoyApi(bytes)).toThrow(ControlPlaneError)
    expect(() => importEnvoyApi(bytes)).toThrow('no descriptors of the Envoy API')
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['text', Buffer.from('static_resources: {}'), /is no descriptor set; `fairlead api import` makes one/],
    ['nothing', new Uint8Array(), /is no descriptor set/],
    [
      'a set without Envoy’s API',
      toBinary(
        FileDescriptorSetSchema,
        create(FileDescriptorSetSchema, { file: notOurs.filter(({ name }) => name === 'google/protobuf/any.proto') }),
      ),
      /holds no Envoy API/,
    ],
    [
      'a set that lacks an import',
      toBinary(
        FileDescriptorSetSchema,
        create(FileDescriptorSetSchema, { file: notOurs.filter(({ name }) => name !== 'envoy/type/v3/percent.proto') }),
      ),
      /do not fit together: .*percent\.proto/,
    ],
  ])('when it is loaded: %s', (_, bytes, message) => {
    const path = join(tempDir(), 'api.binpb')
    writeFileSync(path, bytes)
    expect(() => loadEnvoyApi(path)).toThrow(ControlPlaneError)
    expect(() => loadEnvoyApi(path)).toThrow(message)
  })

  it('when it is loaded: a file that is not there', () => {
    expect(() => loadEnvoyApi(join(tempDir(), 'absent'))).toThrow(/cannot read the Envoy API descriptors: .*absent/)
  })
})

describeWithEnvoy('a real Envoy', (envoy) => {
  it('gives its whole API, with options that work', () => {
    const imported = importEnvoyApi(readFileSync(envoy))
    expect(imported.leftOut).toEqual([])
    expect(imported.envoyFiles).toBeGreaterThan(400)
    const api = load(imported)
    expectOptionsToWork(api)
    // Not in the built-in API, which is older than any Envoy that the tests use.
    expect(
      loadEnvoyApi().registry.getMessage('envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth'),
    ).toBeUndefined()
    expect(api.registry.getMessage('envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth')).toBeDefined()
  })
})
