import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { type ComposeMesh, composeFile, startComposeMesh } from '../compose/compose-mesh.ts'
import { testImage } from '../compose/image-suite.ts'
import { describeWithDocker } from '../support/docker-engine.ts'
import { type Load, type LoadReport, startLoad } from '../support/load.ts'
import { notHere } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** What an Envoy may take from the loss of its replica until another has it. */
const longestMoveMs = 5_000

const ownImage = 'fairlead:0.1.0'

const catalog1 = 'catalog-1 v1'
const catalog2 = 'catalog-2 v2'

describe('the compose file of the example', () => {
  test('has the bootstrap that `fairlead bootstrap` prints', () => {
    const server = ['fairlead-1:18000', 'fairlead-2:18000']
    const options = { id: 'envoy', cluster: 'envoy', server, delta: false, adminAddress: '0.0.0.0' }
    const file = readFileSync(join(composeFile, '../compose/bootstrap.json'), 'utf8')
    expect(file).toBe(`${JSON.stringify(buildBootstrap(options), undefined, 2)}\n`)
  })

  const isVersion2 = spawnSync('docker', ['compose', 'version']).status === 0
  const loads = 'is loaded by version 2 of Compose'
  test.skipIf(!isVersion2)(isVersion2 ? loads : `${loads} ${notHere('has no such Compose')}`, () => {
    const { status, stdout, stderr } = spawnSync('docker', ['compose', '-f', composeFile, 'config'], {
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain('fairlead-2:')
  })
})

describeWithDocker('the mesh of the example, by docker-compose', () => {
  let mesh: ComposeMesh

  beforeAll(async () => {
    mesh = await startComposeMesh()
    const load = startLoadOn(mesh, 20)
    await load.next(3, { from: catalog2, timeoutMs: 90_000 })
    await load.stop()
  }, 600_000)

  test('shares requests, by gateway and sidecars, as a document says that is in etcd', async () => {
    const load = startLoadOn(mesh)
    expectShare(await countOf(load, isLong ? 5_000 : 500), 0.1)
    await mesh.put('half')
    expectShare(await countOf(load, isLong ? 5_000 : 500), 0.5)
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
  })

  test('is scraped by Prometheus, every replica and every Envoy, which has the rules of the alerts', async () => {
    const targets = await eventually(async () => await scrapedBy(mesh), { timeoutMs: 20_000 })
    expect(targets).toEqual([
      'catalog-1-envoy:9901',
      'catalog-2-envoy:9901',
      'edge:9901',
      'fairlead-1:18001',
      'fairlead-2:18001',
      'web-envoy:9901',
    ])
    const response = await fetch(`http://127.0.0.1:${mesh.prometheusPort}/api/v1/rules`)
    const { data } = (await response.json()) as { readonly data: { readonly groups: readonly unknown[] } }
    expect(data.groups).not.toHaveLength(0)
  })

  test.each([
    ['stopped', 'stop', 'fairlead-1', 'fairlead-2', 'mesh', 0.1],
    ['killed', 'kill', 'fairlead-2', 'fairlead-1', 'half', 0.5],
  ] as const)(
    'loses no request and can be changed while a replica is %s',
    async (_, how, gone, other, change, share) => {
      const load = startLoadOn(mesh)
      await load.next(100)
      await mesh.compose(how, gone)
      await eventually(async () => (await mesh.nodes(other)).length === 4, { timeoutMs: longestMoveMs })
      await mesh.put(change)
      // Not a question of how exactly, here, but whether at all.
      expectShare(await countOf(load, 500), share, 5)
      await mesh.compose('up', '--detach', '--no-deps', gone)
      await eventually(async () => await mesh.isReady(gone), { timeoutMs: 30_000, intervalMs: 100 })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  )

  test('is shown by the tour: a canary, a failover, a registration, without one failed request', async () => {
    const load = startLoadOn(mesh)
    const said = await mesh.tour()
    const { byBackend, ...report } = await load.stop()
    expect(report).toMatchObject({ failed: 0, failures: [] })
    expect(Object.keys(byBackend).sort()).toEqual([catalog1, catalog2, 'catalog-3 v2'])
    expect(said).toMatch(/\d requests were answered meanwhile, 0 failed\./)
  }, 300_000)

  describe('the image of fairlead', () => testImage(ownImage, (...args) => mesh.docker(...args)))
})

/** What Prometheus scrapes, in order; false while it has not scraped all of it. */
async function scrapedBy({ prometheusPort }: ComposeMesh): Promise<readonly string[] | false> {
  const response = await fetch(`http://127.0.0.1:${prometheusPort}/api/v1/targets`)
  const { activeTargets } = ((await response.json()) as Targets).data
  return (
    activeTargets.every(({ health }) => health === 'up') && activeTargets.map(({ labels }) => labels.instance).sort()
  )
}

interface Targets {
  readonly data: {
    readonly activeTargets: readonly { readonly health: string; readonly labels: { readonly instance: string } }[]
  }
}

const startLoadOn = ({ gatewayPort }: ComposeMesh, rate = 100): Load => startLoad({ port: gatewayPort, rate })

/** Of so many answers from now on, how many came from version 2. */
async function countOf(load: Load, answers: number): Promise<{ readonly all: number; readonly ofVersion2: number }> {
  const before = load.report()
  await load.next(answers, { timeoutMs: 120_000 })
  const after = load.report()
  const from = (report: LoadReport, backend: string): number => report.byBackend[backend] ?? 0
  const between = (backend: string): number => from(after, backend) - from(before, backend)
  return { all: between(catalog1) + between(catalog2), ofVersion2: between(catalog2) }
}

/** Within so many standard deviations. */
function expectShare(
  { all, ofVersion2 }: { readonly all: number; readonly ofVersion2: number },
  share: number,
  deviations = 3,
): void {
  expect(Math.abs(ofVersion2 - all * share)).toBeLessThan(deviations * Math.sqrt(all * share * (1 - share)))
}
