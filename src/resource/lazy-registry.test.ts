import { create, createFileRegistry, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { FieldDescriptorProto_Type, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { describe, expect, it } from 'vitest'
import { decodeDescriptorFile, readDescriptorFiles } from './descriptor-file.ts'
import { loadEnvoyApi, readBuiltInFiles } from './envoy-api.ts'
import { LazyRegistry } from './lazy-registry.ts'

const { files } = loadEnvoyApi()
const eager = createFileRegistry(readBuiltInFiles())

function registryOf(...protos: readonly MessageInitShape<typeof FileDescriptorProtoSchema>[]): LazyRegistry {
  const file = protos.map((proto) => create(FileDescriptorProtoSchema, { ...proto, syntax: 'proto3' }))
  return new LazyRegistry(
    readDescriptorFiles(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }))),
  )
}

describe('the registry of a descriptor set', () => {
  it('knows all that an eager one knows, under the same names', () => {
    const names = [...eager].map(({ kind, typeName }) => `${kind} ${typeName}`)
    expect([...new LazyRegistry(files)].map(({ kind, typeName }) => `${kind} ${typeName}`).sort()).toEqual(names.sort())
  })

  it('decodes a file when something of it is first asked for, with what that imports, and no other', () => {
    const decoded: string[] = []
    const watched = files.map((file) => ({
      ...file,
      get bytes() {
        decoded.push(file.name)
        return file.bytes
      },
    }))
    const registry = new LazyRegistry(watched)
    expect(decoded).toEqual([])
    expect(registry.getMessage('envoy.type.v3.Percent')?.typeName).toBe('envoy.type.v3.Percent')
    expect(decoded).toContain('envoy/type/v3/percent.proto')
    expect(decoded).not.toContain('envoy/config/cluster/v3/cluster.proto')
    const before = decoded.length
    registry.getMessage('envoy.type.v3.Percent')
    expect(decoded).toHaveLength(before)
  })

  it('finds what is defined within a message, and shares one descriptor between all that import it', () => {
    const registry = new LazyRegistry(files)
    const check = registry.getMessage('envoy.config.core.v3.HealthCheck.HttpHealthCheck')
    expect(check?.name).toBe('HttpHealthCheck')
    const healthCheck = registry.getMessage('envoy.config.cluster.v3.Cluster')?.field['healthChecks']
    expect(healthCheck?.message).toBe(registry.getMessage('envoy.config.core.v3.HealthCheck'))
    expect(registry.getExtension('validate.rules')?.extendee.typeName).toBe('google.protobuf.FieldOptions')
  })

  it('gives nothing for a name of another kind, or of none', () => {
    const registry = new LazyRegistry(files)
    expect(registry.getEnum('envoy.config.cluster.v3.Cluster')).toBeUndefined()
    expect(registry.getMessage('envoy.config.cluster.v3.Cluster.NoSuch')).toBeUndefined()
    expect(registry.get('')).toBeUndefined()
  })

  it('says which import is missing', () => {
    const registry = registryOf({ name: 'a.proto', dependency: ['b.proto'] })
    expect(() => registry.loadAll()).toThrow('b.proto')
  })

  it('finds what an import passes on', () => {
    const far = { name: 'far.proto', messageType: [{ name: 'Far' }] }
    const near = { name: 'near.proto', dependency: ['far.proto'], publicDependency: [0] }
    const field = { name: 'far', number: 1, type: FieldDescriptorProto_Type.MESSAGE, typeName: '.Far' }
    const user = { name: 'user.proto', dependency: ['near.proto'], messageType: [{ name: 'User', field: [field] }] }
    const registry = registryOf(far, near, user)
    expect(registry.getMessage('User')?.field['far']?.message).toBe(registry.getMessage('Far'))
  })
})

describe('the table of contents of a descriptor set', () => {
  it('names what each file defines and imports', () => {
    const file = files.find(({ name }) => name === 'envoy/service/discovery/v3/ads.proto')
    expect(file).toMatchObject({
      imports: expect.arrayContaining(['envoy/service/discovery/v3/discovery.proto']),
      types: expect.arrayContaining(['envoy.service.discovery.v3.AdsDummy']),
      services: ['envoy.service.discovery.v3.AggregatedDiscoveryService'],
    })
    expect(file && decodeDescriptorFile(file).package).toBe('envoy.service.discovery.v3')
  })

  it('is refused of bytes that are no descriptor set', () => {
    expect(() => readDescriptorFiles(new Uint8Array([10, 200, 1, 2]))).toThrow()
  })
})
