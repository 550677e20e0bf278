import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { tempDir } from './support/temp.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const configFile = '.dependency-cruiser.mjs'
const { rooms, doors } = (await import(pathToFileURL(join(root, configFile)).href)) as {
  readonly rooms: Readonly<Record<string, readonly string[]>>
  readonly doors: Readonly<Record<string, readonly string[]>>
}

interface Cruise {
  readonly modules: readonly { readonly source: string }[]
  readonly summary: {
    readonly violations: readonly {
      readonly rule: { readonly name: string }
      readonly from: string
      readonly to: string
    }[]
  }
}

/** What dependency-cruiser says of the `src` below a directory. */
function cruise(cwd: string): Cruise {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
  const args = [program, '--config', configFile, '--output-type', 'json', 'src']
  const { stdout, stderr, error } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (error !== undefined) throw error
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Cruise
}

/** A small project under the house's rules, with these files: path below src/ -> what it imports. */
function projectOf(files: Readonly<Record<string, readonly string[]>>): string {
  const dir = tempDir('fairlead-architecture-')
  for (const name of [configFile, 'tsconfig.json', 'package.json']) copyFileSync(join(root, name), join(dir, name))
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  for (const [path, imports] of Object.entries(files)) {
    const file = join(dir, 'src', path)
    mkdirSync(dirname(file), { recursive: true })
    const lines = imports.map((specifier) => `import '${specifier}'\n`)
    writeFileSync(file, `${lines.join('')}export const name: string = '${path}'\n`)
  }
  return dir
}

/** `FROM: RULE`, sorted, each once. */
function violationsOf({ summary }: Cruise): string[] {
  return [...new Set(summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`))].sort()
}

// Each cruise parses a whole project: seconds, on a machine that is busy with the other tests.
describe('the import rules', { timeout: 60_000 }, () => {
  test('are kept by every module of src/, and all of them are seen', () => {
    const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'))
    const result = cruise(root)
    const seen = result.modules.map(({ source }) => source).filter((source) => /^src\/.*\.ts$/.test(source))
    expect(seen.sort()).toEqual(files.map((file) => `src/${file}`).sort())
    expect(seen.length).toBeGreaterThan(30)
    expect(violationsOf(result)).toEqual([])
  })

  describe('of a project that breaks each of them', () => {
    const names = Object.keys(rooms)
    const roomPairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => ({ from, to })))
    const packages = [...new Set([...Object.values(doors).flat(), 'pino'])]
    const doorPairs = Object.keys(doors).flatMap((room) =>
      packages.map((name) => ({ room, name, file: fileFor(room, name) })),
    )
    const others: Readonly<Record<string, readonly string[]>> = {
      'cache/a.ts': ['./b.ts'],
      'cache/b.ts': ['./a.ts'],
      'config/lonely.ts': [],
      'pipeline.ts': ['yaml', 'fastify'],
      'xds/server.ts': ['./server.test.ts'],
      'xds/server.test.ts': [],
    }
    let caught: readonly string[]

    beforeAll(() => {
      caught = violationsOf(
        cruise(
          projectOf({
            ...Object.fromEntries(names.map((name) => [`${name}/target.ts`, []])),
            ...Object.fromEntries(
              roomPairs.map(({ from, to }) => [`${from}/imports-${to}.ts`, [`../${to}/target.ts`]]),
            ),
            ...Object.fromEntries(doorPairs.map(({ file, name }) => [file, [name]])),
            ...others,
          }),
        ),
      )
    }, 60_000)

    test('let each room import the rooms of its row, and catch every other', () => {
      const forbidden = roomPairs.filter(({ from, to }) => !rooms[from]?.includes(to))
      expect(caught.filter((line) => line.includes(': room-'))).toEqual(
        forbidden.map(({ from, to }) => `src/${from}/imports-${to}.ts: room-${from}`).sort(),
      )
      expect(forbidden.length).toBeGreaterThan(names.length)
    })

    test('let each room open its own doors, and catch every other package', () => {
      const forbidden = doorPairs.filter(({ room, name }) => !doors[room]?.includes(name))
      expect(caught.filter((line) => line.includes(': door-'))).toEqual(
        forbidden.map(({ room, file }) => `src/${file}: door-${room}`).sort(),
      )
      expect(forbidden.length).toBeGreaterThan(Object.keys(doors).length)
    })

    test('catch a cycle, a module that nothing imports, a package in the hall, and a test in the product', () => {
      expect(caught.filter((line) => Object.keys(others).some((file) => line.startsWith(`src/${file}: `)))).toEqual([
        'src/cache/a.ts: no-cycle',
        'src/config/lonely.ts: no-orphan',
        'src/pipeline.ts: hall-door',
        'src/xds/server.ts: product-does-not-import-tests',
      ])
    })
  })
})

function fileFor(room: string, packageName: string): string {
  return `${room}/${packageName.replaceAll(/[^a-z0-9]/g, '-')}.ts`
}
