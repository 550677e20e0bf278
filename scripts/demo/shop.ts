import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pc from 'picocolors'
import { parseAllDocuments } from 'yaml'
import { freePorts } from '../../test/support/free-ports.ts'
import { type DemoBackend, startBackend } from './backend.ts'
import { fairlead, startControlPlane } from './control-plane.ts'
import { chooseDataPlane } from './data-plane.ts'
import { edit } from './edit.ts'
import { bar, type Screen } from './screen.ts'
import { requestsPerSecond, type Served, type ShopTraffic, startShopTraffic } from './shop-traffic.ts'
import { waitForSecondRoutes } from './wait-for-routes.ts'

const example = fileURLToPath(new URL('../../examples/shop/config', import.meta.url))
const node = { id: 'edge-1', cluster: 'edge' }

/** The canary's percentage in routes.yaml as it is, and as the edit leaves it. */
const [before, after] = [10, 50]
/** How far chance may be off, in percent: four standard deviations of 120 requests are 18. */
const tolerance = 20

type CleanUp = () => void | Promise<void>

/** `npm run demo -- shop`: twelve services behind a gateway; a canary moves, a zone dies, and one host outside may be called. */
export async function shopStory(
  screen: Screen,
  signal: AbortSignal,
  cleanUps: CleanUp[],
  pictureMs: number,
): Promise<void> {
  screen.line(pc.bold('fairlead: a shop of twelve services in two zones, behind a proxy, written in a page of YAML'))
  screen.line()
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-demo-'))
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  const plane = await chooseDataPlane(screen)
  const config = join(directory, 'config')
  cpSync(example, config, { recursive: true })
  const zones = await startServices(join(config, 'services.yaml'), cleanUps)
  const services = zones.a.length + zones.b.length
  screen.done('the shop', `12 services, ${services} endpoints in the zones a and b`)
  const [http, internal, out] = (await freePorts(3)) as [number, number, number]
  const partner = await startBackend('partner')
  cleanUps.push(() => partner.close())
  // The partner lives on this machine today.
  edit(join(config, 'gateway.yaml'), {
    'port: 8080': `port: ${http}`,
    'port: 8081': `port: ${internal}`,
    'port: 3128': `port: ${out}`,
    '[api.partner.example], ports: [80]': `[localhost], ports: [${partner.port}]`,
  })

  const controlPlane = await startControlPlane(directory)
  cleanUps.push(() => controlPlane.close())
  screen.done('control plane', `$ fairlead serve --config ${config}`)
  const bootstrap = await fairlead(
    'bootstrap',
    '--id',
    node.id,
    '--cluster',
    node.cluster,
    '--server',
    controlPlane.xds,
  )
  const proxy = await plane.start({ bootstrap, signal })
  cleanUps.push(() => proxy.close())
  for (const name of ['http', 'internal', 'out']) await proxy.listenerPort(`edge/${name}`)
  screen.done(`${plane.name} is live`, 'a listener for the shop, one for internal names, one for the way out')

  const others = [
    ...publicPaths.map((path) => ({ port: http, host: 'shop.example', path })),
    ...['payments', 'shipping', 'email'].map((name) => ({ port: internal, host: `${name}.internal`, path: '/' })),
  ]
  // Every other one to the catalog, whose canary is watched.
  const traffic = startShopTraffic(
    others.flatMap((call) => [{ port: http, host: 'shop.example', path: '/catalog' }, call]),
  )
  cleanUps.push(() => traffic.stop())

  heading(screen, `A canary: ${before} of 100 requests to /catalog try v2.`)
  const first = await watch(screen, traffic, pictureMs, signal)
  screen.line()
  screen.line('An edit of routes.yaml, while requests flow to all twelve:')
  for (const line of shiftCanary(join(config, 'routes.yaml'))) screen.line(line)
  const saved = performance.now()
  await waitForSecondRoutes(controlPlane, signal)
  screen.done('saved', `and in force in ${plane.name} ${Math.round(performance.now() - saved)} ms later`)
  const second = await watch(screen, traffic, pictureMs, signal)

  heading(screen, `Zone a dies: ${zones.a.length} endpoints are gone at once.`)
  for (const backend of zones.a) backend.close()
  await sleep(500, undefined, { signal })
  const third = await watch(screen, traffic, pictureMs, signal)
  await traffic.stop()

  heading(screen, 'The way out: what is not allowed does not leave.')
  await showEgress(screen, out, partner.port)
  heading(screen, '$ fairlead route --node edge http://shop.example/catalog')
  const asked = `http://shop.example:${http}/catalog`
  const told = await fairlead('route', '--node', node.cluster, asked, '--server', controlPlane.admin)
  for (const line of told.trimEnd().split('\n')) screen.line(line)
  conclude(screen, traffic, first, second, third)
}

const publicPaths = ['/', '/cart', '/checkout', '/orders', '/users', '/reviews', '/search', '/recommendations'] as const

function heading(screen: Screen, text: string): void {
  screen.line()
  screen.line(pc.bold(text))
}

interface Zones {
  readonly a: readonly DemoBackend[]
  readonly b: readonly DemoBackend[]
}

/** A server for each endpoint of the file, which then has their ports. */
async function startServices(path: string, cleanUps: CleanUp[]): Promise<Zones> {
  const zones: { a: DemoBackend[]; b: DemoBackend[] } = { a: [], b: [] }
  const changes: Record<string, string> = {}
  for (const document of parseAllDocuments(readFileSync(path, 'utf8'))) {
    const { name, endpoints } = document.toJS() as ServiceDocument
    for (const { port, zone, labels } of endpoints) {
      const backend = await startBackend(`${name} ${labels?.version ?? 'v1'} zone ${zone}`)
      cleanUps.push(() => backend.close())
      zones[zone].push(backend)
      changes[`port: ${port},`] = `port: ${backend.port},`
    }
  }
  edit(path, changes)
  return zones
}

interface ServiceDocument {
  readonly name: string
  readonly endpoints: readonly {
    readonly port: number
    readonly zone: 'a' | 'b'
    readonly labels?: { readonly version: string }
  }[]
}

function shiftCanary(path: string): readonly string[] {
  return edit(path, {
    [`version: v1, weight: ${100 - before}`]: `version: v1, weight: ${100 - after}`,
    [`version: v2, weight: ${before}`]: `version: v2, weight: ${after}`,
  })
}

/** What requests came to, in percent. */
interface Shares {
  readonly canary: number
  readonly zoneA: number
  readonly services: number
}

async function watch(screen: Screen, traffic: ShopTraffic, ms: number, signal: AbortSignal): Promise<Shares> {
  const served = traffic.count()
  const until = performance.now() + ms
  let nextLine = performance.now() + 1000
  while (performance.now() < until || served.length < requestsPerSecond) {
    await sleep(100, undefined, { signal })
    const shares = sharesOf(served)
    const failed = traffic.failed === 0 ? '0 failed' : pc.red(`${traffic.failed} failed`)
    const state = `${requestsPerSecond} requests/s to ${shares.services} services, ${traffic.answered} answered, ${failed}`
    screen.draw([row('catalog v2', shares.canary), row('zone a', shares.zoneA), `              ${state}`])
    if (screen.isLive || performance.now() < nextLine) continue
    nextLine += 1000
    screen.line(`   catalog v2 ${percent(shares.canary)}  zone a ${percent(shares.zoneA)}  ${state}`)
  }
  return sharesOf(served)
}

function row(name: string, share: number): string {
  const width = Math.max(10, Math.min(50, (process.stdout.columns ?? 80) - 24))
  return `   ${name.padEnd(10)} ${pc.green(bar(share / 100, width))} ${percent(share)}`
}

const percent = (share: number): string => `${String(Math.round(share)).padStart(3)} %`

function sharesOf(served: readonly Served[]): Shares {
  const of = (part: readonly Served[], whole: readonly Served[]): number =>
    whole.length === 0 ? 0 : (part.length / whole.length) * 100
  const catalog = served.filter(({ service }) => service === 'catalog')
  return {
    canary: of(
      catalog.filter(({ version }) => version === 'v2'),
      catalog,
    ),
    zoneA: of(
      served.filter(({ zone }) => zone === 'a'),
      served,
    ),
    services: new Set(served.map(({ service }) => service)).size,
  }
}

/** @throws Error when what is allowed does not get through, or anything else does */
async function showEgress(screen: Screen, port: number, partnerPort: number): Promise<void> {
  for (const [host, wanted] of [
    [`localhost:${partnerPort}`, 200],
    ['elsewhere.example', 403],
  ] as const) {
    const status = await statusOf(port, host)
    if (status !== wanted) throw new Error(`${host} was answered with ${status} at the way out, and not with ${wanted}`)
    screen.line(`   ${host.padEnd(20)} ${status}  ${wanted === 200 ? 'in the list' : 'not in the list'}`)
  }
}

/** A name is resolved when it is first asked for, which may fail while the machine is busy: so twice. */
async function statusOf(port: number, host: string): Promise<number> {
  for (let tries = 1; ; tries++) {
    const status = await new Promise<number>((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port, agent: false, headers: { host } }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
      })
      call.on('error', reject)
      call.end()
    })
    if (status !== 503 || tries === 2) return status
  }
}

/** @throws Error when a request failed, or the shares are not what the files say */
function conclude(screen: Screen, traffic: ShopTraffic, first: Shares, second: Shares, third: Shares): void {
  if (traffic.failed > 0) {
    throw new Error(
      `${traffic.failed} of ${traffic.answered + traffic.failed} requests failed; the first: ${traffic.firstFailure}`,
    )
  }
  const canaries = `from ${Math.round(first.canary)} to ${Math.round(second.canary)} %`
  const isOff = (share: number, wanted: number): boolean => Math.abs(share - wanted) > tolerance
  if (isOff(first.canary, before) || isOff(second.canary, after)) {
    throw new Error(`the canary went ${canaries}, and not from ${before} to ${after} %`)
  }
  const services = Math.min(first.services, second.services, third.services)
  if (services < 12) throw new Error(`only ${services} of 12 services answered`)
  if (third.zoneA > 0)
    throw new Error(`zone a, which is gone, still answered ${Math.round(third.zoneA)} % of the requests`)
  screen.line()
  const zones = `zone a from ${Math.round(second.zoneA)} to 0 %`
  screen.done('done', `${traffic.answered} requests, 0 failed; the canary went ${canaries}, ${zones}`)
}
