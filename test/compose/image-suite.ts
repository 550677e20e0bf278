import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { atTestEnd } from '../support/at-test-end.ts'
import { eventually } from '../support/poll.ts'

const root = join(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }
const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** `docker` on an engine that has the image; resolves with what it printed, and rejects where it did not end with 0. */
type Docker = (...args: readonly string[]) => Promise<string>

/** What the Dockerfile's image promises, of one that was built from it and is called `image`. */
export function testImage(image: string, docker: Docker): void {
  const config = join(root, 'examples/envoy/config')
  /** As little as it needs. No network: the engine of a test may have none to give. */
  const bare = ['--network=none', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges']
  const often = ['--health-interval=1s', '--health-retries=1']

  const start = async (flags: readonly string[], ...args: readonly string[]): Promise<string> => {
    const id = (await docker('run', '--detach', ...bare, ...often, ...flags, image, ...args)).trim()
    atTestEnd(async () => void (await docker('rm', '--force', '--volumes', id)))
    return id
  }
  const healthOf = async (id: string): Promise<string> =>
    (await docker('inspect', '--format={{.State.Health.Status}}', id)).trim()
  const untilHealth = async (id: string, status: string): Promise<void> =>
    void (await eventually(async () => (await healthOf(id)) === status, { timeoutMs: 60_000, intervalMs: 200 }))
  const inContainer = async (...command: readonly string[]): Promise<string> => {
    const [program = '', ...args] = command
    return await docker('run', '--rm', ...bare, `--entrypoint=${program}`, image, ...args)
  }

  test('says what it is, who it runs as, and how it is asked and stopped', async () => {
    const [{ Config }] = JSON.parse(await docker('image', 'inspect', image)) as [{ readonly Config: ImageConfig }]
    expect(Config).toMatchObject({
      User: '10001:10001',
      Entrypoint: ['fairlead'],
      Cmd: ['serve'],
      StopSignal: 'SIGTERM',
      Healthcheck: { Test: ['CMD', 'fairlead', 'health'] },
      Volumes: { '/var/lib/fairlead': {} },
      ExposedPorts: { '18000/tcp': {}, '18001/tcp': {} },
      Labels: { 'org.opencontainers.image.version': version, 'org.opencontainers.image.licenses': 'Apache-2.0' },
    })
    expect(await docker('run', '--rm', ...bare, image, '--version')).toBe(`${version}\n`)
  })

  test('has one layer of 16 MB at most, without types, maps and tests, all of one date', async () => {
    const sizes = await docker('history', '--human=false', '--format={{.Size}} {{.CreatedBy}}', image)
    const own = sizes.split('\n').slice(0, sizes.split('\n').findIndex((line) => line.includes('LABEL')) + 1)
    const bytes = own.map((line) => Number(line.split(' ')[0])).filter((size) => size > 0)
    expect(bytes).toHaveLength(1)
    expect(Math.max(...bytes)).toBeLessThan(16_000_000)
    const useless = ['-name', '*.d.ts', '-o', '-name', '*.map', '-o', '-name', '*.test.js']
    expect(await inContainer('find', '/opt/fairlead', ...useless)).toBe('')
    // Nobody said a date here, so it is the first of all.
    expect(await inContainer('find', '/opt/fairlead', '/usr/local/bin/fairlead', '-newermt', '1970-01-02')).toBe('')
  })

  test.runIf(isLong)(
    'has the same layer when it is built again, without what is remembered of the first time',
    async () => {
      const tag = 'fairlead-test/again'
      await docker('build', '--no-cache', '--network=host', `--tag=${tag}`, root)
      atTestEnd(async () => void (await docker('image', 'rm', tag)))
      const [first, again] = (await Promise.all([image, tag].map((name) => docker('image', 'inspect', name)))).map(
        (text) => (JSON.parse(text) as [{ readonly RootFS: { readonly Layers: readonly string[] } }])[0].RootFS.Layers,
      )
      // The last one holds the directory of the volume, which is of when it was made.
      expect(again?.slice(0, -1)).toEqual(first?.slice(0, -1))
    },
  )

  test('serves from a read-only root, without capabilities, and ends with 0; killed, it goes on with its history', async () => {
    const volume = (await docker('volume', 'create')).trim()
    atTestEnd(async () => void (await docker('volume', 'rm', volume)))
    const history = `--volume=${volume}:/var/lib/fairlead`
    const first = await start([history, `--volume=${config}:/etc/fairlead/config:ro`], 'serve', '--config', 'config')
    await untilHealth(first, 'healthy')
    expect(await docker('exec', first, 'fairlead', 'snapshots', 'list')).toMatch(/^ *1 /m)
    await docker('kill', '--signal=KILL', first)
    // The same pid, the lock of the one before, and no documents.
    const second = await start([history], 'serve', '--config', 'config')
    await untilHealth(second, 'healthy')
    expect(await docker('exec', second, 'fairlead', 'health')).toContain('the last good configuration')
    await docker('stop', '--time=20', second)
    expect(await docker('inspect', '--format={{.State.ExitCode}}', second)).toBe('0\n')
  })

  test('is alive but not healthy while it has nothing to serve', async () => {
    const id = await start(
      ['--health-start-period=0s'],
      'serve',
      '--etcd',
      'http://127.0.0.1:1',
      '--log-format',
      'text',
    )
    await untilHealth(id, 'unhealthy')
    expect(await docker('exec', id, 'fairlead', 'health', '--live')).toBe('alive\n')
    await expect(docker('exec', id, 'fairlead', 'health')).rejects.toThrow('not ready: it has not read etcd')
  })
}

interface ImageConfig {
  readonly User: string
}
