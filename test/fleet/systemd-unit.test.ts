import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { optionTable, variableOf } from '../../src/options/options.ts'
import { runCommand } from '../support/command.ts'
import { findProgram } from '../support/find-program.ts'
import { skipForWantOf } from '../support/needs.ts'
import { tempDir } from '../support/temp.ts'

const directory = fileURLToPath(new URL('../../examples/systemd/', import.meta.url))
const unit = readFileSync(join(directory, 'fairlead.service'), 'utf8')
const environment = readFileSync(join(directory, 'fairlead.env'), 'utf8')

/** The value of a setting that the unit has once. */
function setting(name: string): string {
  const values = [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value as string)
  expect(values, name).toHaveLength(1)
  return values[0] as string
}

/** Variables, also those that stand there to be taken in. */
function variablesIn(text: string): Readonly<Record<string, string>> {
  const lines = [...text.matchAll(/^#?(FAIRLEAD_\w+)=(.*)$/gm)]
  return Object.fromEntries(lines.map(([, name = '', value = '']) => [name, value]))
}

describe('examples/systemd', () => {
  test('starts the server with options that it takes', async () => {
    const [program, ...args] = setting('ExecStart').split(' ')
    expect([program, args[0]]).toEqual(['fairlead', 'serve'])
    const [, snapshots = ''] = /^FAIRLEAD_SNAPSHOTS=(\S+)/.exec(setting('Environment')) ?? []
    expect(snapshots).toBe(`/var/lib/${setting('StateDirectory')}`)
    const env = { ...variablesIn(environment), FAIRLEAD_SNAPSHOTS: snapshots }
    const known = new Set(optionTable.map(({ name }) => variableOf(name)))
    expect(Object.keys(env).filter((name) => !known.has(name))).toEqual([])
    const { code, out, err } = await runCommand([...args, '--print-options'], { env })
    expect([code, err]).toEqual([0, ''])
    for (const name of Object.keys(env)) expect(out).toContain(`# ${name}\n`)
  })

  test('waits longer for the end than the server drains', () => {
    const drain = optionTable.find(({ name }) => name === 'drainTimeout')?.default as number
    expect(setting('KillSignal')).toBe('SIGTERM')
    expect(Number(/^(\d+)s$/.exec(setting('TimeoutStopSec'))?.[1]) * 1000).toBeGreaterThan(2 * drain)
    expect(variablesIn(environment)['FAIRLEAD_DRAIN_TIMEOUT']).toBe(`${drain / 1000}s`)
  })

  test('lets the machine code of V8 be written, and the holder of a lock be seen', () => {
    expect(unit).not.toMatch(/^(?:MemoryDenyWriteExecute|ProtectProc|ProcSubset)=/m)
  })
})

const analyze = findProgram('systemd-analyze')

function suite(): void {
  /** The unit where systemd finds its program, which is installed elsewhere here. */
  function installed(): string {
    const path = join(tempDir(), 'fairlead.service')
    writeFileSync(path, unit.replace(/^ExecStart=fairlead /m, `ExecStart=${process.execPath} `))
    return path
  }

  test('is a unit that systemd understands in full', () => {
    const { status, stderr } = spawnSync(analyze ?? '', ['verify', installed()], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })

  test('would be told of a setting that there is not', () => {
    const path = installed()
    writeFileSync(path, readFileSync(path, 'utf8').replace('ProtectClock=', 'ProtectClocks='))
    const { stderr } = spawnSync(analyze ?? '', ['verify', path], { encoding: 'utf8' })
    expect(stderr).toMatch(/Unknown key .*'ProtectClocks'/)
  })

  test('leaves little exposed', () => {
    // In tenths; a unit that says nothing has 96.
    const args = ['security', '--offline=true', '--threshold=20', '--no-pager', installed()]
    expect(execFileSync(analyze ?? '', args, { encoding: 'utf8' })).toMatch(/Overall exposure level .*: [01]\.\d OK/)
  })
}

const name = 'examples/systemd, asked of systemd'
if (analyze === undefined) skipForWantOf('systemd-analyze', name, suite)
else describe(name, suite)
