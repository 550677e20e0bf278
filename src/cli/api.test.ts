import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { describe, expect, test } from 'vitest'
import { runCommand } from '../../test/support/command.ts'
import { describeWithEnvoy } from '../../test/support/needs.ts'
import { tempDir } from '../../test/support/temp.ts'

const builtIn = 'dist/api/default.binpb'

describe('fairlead api import', () => {
  test('writes a descriptor set that --envoy-api takes, and says how', async () => {
    const out = join(tempDir(), 'api.binpb')
    const result = await runCommand(['api', 'import', builtIn, '--out', out])
    expect(result).toMatchObject({ code: 0, err: '' })
    expect(result.out).toMatch(/api\.binpb: \d{3} files, \d{3} of them Envoy's\nUse it: fairlead serve --envoy-api /)
    expect(result.out).not.toContain('left out')
    const version = await runCommand(['version', '--envoy-api', out])
    expect(version.out).toMatch(/Envoy API {2}.*\(\d{3} files\)/)
  })

  test('says what it left out, and why', async () => {
    const dir = tempDir()
    const set = fromBinary(FileDescriptorSetSchema, readFileSync(builtIn))
    for (let index = 0; index < 12; index++) {
      const name = `envoy/lonely/v3/${String(index).padStart(2, '0')}.proto`
      set.file.push(create(FileDescriptorProtoSchema, { name, dependency: ['opencensus/gone.proto'] }))
    }
    const file = join(dir, 'set.binpb')
    writeFileSync(file, toBinary(FileDescriptorSetSchema, set))
    const { code, out } = await runCommand(['api', 'import', file, '--out', join(dir, 'out.binpb')])
    expect(code).toBe(0)
    expect(out).toContain(
      '12 files left out, for something that they import is not in it:\n  envoy/lonely/v3/00.proto\n',
    )
    expect(out).toContain('  envoy/lonely/v3/09.proto\n  and 2 more\n')
  })

  test.each<[readonly string[], RegExp]>([
    [['package.json'], /^fairlead: package\.json: there are no descriptors of the Envoy API in it/],
    [['nothere'], /^fairlead: nothere cannot be read: ENOENT/],
    [[builtIn, '--out', '/nothere/x'], /^fairlead: \/nothere\/x cannot be written: ENOENT/],
  ])('%j exits 2 with one line', async (args, words) => {
    const { code, out, err } = await runCommand(['api', 'import', ...args])
    expect([code, out, err.split('\n').length]).toEqual([2, '', 2])
    expect(err).toMatch(words)
  })
})

describeWithEnvoy('fairlead api import of a real Envoy', (envoy) => {
  test("takes the binary's own API", async () => {
    const file = join(tempDir(), 'api.binpb')
    const { code, out } = await runCommand(['api', 'import', envoy, '--out', file])
    expect(code).toBe(0)
    expect(Number(/, (\d+) of them Envoy's/.exec(out)?.[1])).toBeGreaterThan(400)
  })
})
