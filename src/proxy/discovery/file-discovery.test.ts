import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { createTestContext } from '../../../test/support/proxy-context.ts'
import { tempDir } from '../../../test/support/temp.ts'
import type { AdsDiscovery } from './create-discovery.ts'
import { createFileDiscovery } from './file-discovery.ts'
import { createNoDiscovery } from './no-discovery.ts'

const type = (message: string) => `type.googleapis.com/envoy.config.${message}`
const clusterOf = (name: string) => ({ '@type': type('cluster.v3.Cluster'), name, type: 'STATIC' })
const routesOf = (name: string) => ({ '@type': type('route.v3.RouteConfiguration'), name })

/** As operators replace files: another one is moved to the place. */
function write(path: string, version: string, resources: readonly object[]): void {
  writeFileSync(`${path}.new`, JSON.stringify({ version_info: version, resources }))
  renameSync(`${path}.new`, path)
}

interface Told {
  see(text: string): void
  /** Resolves to what is told next, or was not taken yet. */
  next(): Promise<string>
}

function createTold(): Told {
  const texts: string[] = []
  const waiting: ((text: string) => void)[] = []
  return {
    see(text) {
      const wake = waiting.shift()
      if (wake === undefined) texts.push(text)
      else wake(text)
    },
    next() {
      const text = texts.shift()
      return text === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(text)
    },
  }
}

function start(clusters?: string): AdsDiscovery {
  const source = clusters === undefined ? undefined : { initialFetchTimeoutMs: 0, path: clusters }
  const context = createTestContext()
  const discovery = createFileDiscovery({ context, ads: createNoDiscovery(), clusters: source, listeners: undefined })
  atTestEnd(() => discovery.close())
  return discovery
}

describe('discovery by files', () => {
  it('gives what a file says, and what another one says that is moved to its place', async () => {
    const path = join(tempDir(), 'cds.json')
    write(path, '1', [clusterOf('a'), clusterOf('b')])
    const told = createTold()
    start(path).watchAll('cluster', {
      onUpdate(changed, removed) {
        told.see(`${changed.map(({ name, version }) => `${name}@${version}`).join(' ')} -${removed.join(' ')}`)
        return new Map()
      },
      onMissing: () => told.see('missing'),
    })
    expect(await told.next()).toBe('a@1 b@1 -')
    write(path, '2', [clusterOf('b'), clusterOf('c')])
    expect(await told.next()).toBe('c@2 -a')
  })

  it('gives names to who asks for them, also to one who comes later', async () => {
    const path = join(tempDir(), 'rds.json')
    write(path, '1', [routesOf('a'), routesOf('b')])
    const discovery = start()
    const [early, late] = [createTold(), createTold()]
    const watch = (name: string, told: Told) =>
      discovery.watch(
        'route',
        name,
        {
          onResource: (resource) => told.see(`${resource.name}@${resource.version}`),
          onMissing: () => told.see('missing'),
        },
        { path },
      )
    watch('a', early)
    expect(await early.next()).toBe('a@1')
    watch('b', late)
    expect(await late.next()).toBe('b@1')
    expect(discovery.held('route').map(({ name }) => name)).toEqual(['a', 'b'])
  })

  it('waits for nothing where the file cannot be read, and takes the next one', async () => {
    const path = join(tempDir(), 'rds.json')
    writeFileSync(path, 'resources: [{nope: 1}]')
    const told = createTold()
    start().watch(
      'route',
      'a',
      { onResource: ({ version }) => told.see(version), onMissing: () => told.see('missing') },
      { path },
    )
    expect(await told.next()).toBe('missing')
    write(path, '2', [routesOf('a')])
    expect(await told.next()).toBe('2')
  })

  it('refuses a path where there is nothing', () => {
    const watcher = { onResource: () => undefined, onMissing: () => undefined }
    expect(() => start().watch('route', 'a', watcher, { path: '/nowhere/rds.yaml' })).toThrow(
      "paths must refer to an existing path in the system: '/nowhere/rds.yaml' does not exist",
    )
  })
})
