/**
 * `npm run demo`: a control plane, a stock Envoy, two backends, and a change of a route while requests flow.
 * `npm run demo -- shop`: a mesh of twelve services in plain config.
 * FAIRLEAD_DEMO_SECONDS (3) is how long each of its two pictures lasts. Without an Envoy, or with
 * FAIRLEAD_DEMO_PROXY=reference, the reference proxy takes its place.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pc from 'picocolors'
import { startBackend } from './demo/backend.ts'
import { type DemoControlPlane, fairlead, startControlPlane } from './demo/control-plane.ts'
import { chooseDataPlane } from './demo/data-plane.ts'
import { edit } from './demo/edit.ts'
import { bar, createScreen, type Screen } from './demo/screen.ts'
import { shopStory } from './demo/shop.ts'
import { percentOfBlue, requestsPerSecond, startTraffic, type Traffic } from './demo/traffic.ts'
import { waitForSecondRoutes } from './demo/wait-for-routes.ts'

const example = fileURLToPath(new URL('../examples/envoy/config', import.meta.url))
const pictureMs = Number(process.env['FAIRLEAD_DEMO_SECONDS'] ?? '3') * 1000
const node = { id: 'edge-1', cluster: 'edge' }

/** Blue's percentage in route.yaml as it is, and as the edit leaves it. */
const [before, after] = [90, 50]
/** How far chance may be off: five standard deviations of 200 requests are 18. */
const tolerance = 18

/** How long what is under way gets to clean up behind itself. */
const abortPatienceMs = 1_000

type CleanUp = () => void | Promise<void>

async function main(screen: Screen, signal: AbortSignal, cleanUps: CleanUp[]): Promise<void> {
  screen.line(pc.bold('fairlead: a control plane, a proxy, two backends, and a change while requests flow'))
  screen.line()
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-demo-'))
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  const plane = await chooseDataPlane(screen)
  const ports = await startBackends(screen, cleanUps)
  prepareConfig(directory, ports)
  const controlPlane = await start(screen, directory, cleanUps)
  const { xds } = controlPlane
  const bootstrap = await fairlead('bootstrap', '--id', node.id, '--cluster', node.cluster, '--server', xds)
  const began = performance.now()
  const proxy = await plane.start({ bootstrap, signal })
  cleanUps.push(() => proxy.close())
  const port = await proxy.listenerPort('http')
  screen.done(`${plane.name} is live`, `$ ${plane.commandFor('fairlead bootstrap --id edge-1 --cluster edge')}`)
  screen.detail(`after ${seconds(began)}: listener, route, clusters and endpoints came over one ADS stream`)

  const traffic = startTraffic(port)
  cleanUps.push(() => traffic.stop())
  screen.line()
  screen.line(`Requests to http://127.0.0.1:${port}, split by config/route.yaml, ${before} to ${100 - before}:`)
  const first = await watch(screen, traffic, signal)

  screen.line()
  screen.line('Now an edit of config/route.yaml, while they flow:')
  screen.line()
  for (const line of shiftTraffic(join(directory, 'config/route.yaml'))) screen.line(line)
  const saved = performance.now()
  await waitForSecondRoutes(controlPlane, signal)
  screen.line()
  screen.done('saved', `and in force in ${plane.name} ${Math.round(performance.now() - saved)} ms later`)
  const second = await watch(screen, traffic, signal)
  await traffic.stop()

  await showHistory(screen, controlPlane)
  conclude(screen, traffic, first, second)
  screen.line()
  for (const line of tryNext) screen.line(line)
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}

interface Ports {
  readonly blue: number
  readonly green: number
}

async function startBackends(screen: Screen, cleanUps: CleanUp[]): Promise<Ports> {
  const [blue, green] = [await startBackend('blue'), await startBackend('green')]
  cleanUps.push(
    () => blue.close(),
    () => green.close(),
  )
  screen.done('two backends', `blue on 127.0.0.1:${blue.port}, green on 127.0.0.1:${green.port}`)
  return { blue: blue.port, green: green.port }
}

/** The example, with ports that are free here. */
function prepareConfig(directory: string, { blue, green }: Ports): void {
  const config = join(directory, 'config')
  cpSync(example, config, { recursive: true })
  edit(join(config, 'endpoint.yaml'), { '19001': String(blue), '19002': String(green) })
  edit(join(config, 'listener.yaml'), { 'port_value: 10000': 'port_value: 0' })
}

async function start(screen: Screen, directory: string, cleanUps: CleanUp[]): Promise<DemoControlPlane> {
  const began = performance.now()
  const controlPlane = await startControlPlane(directory)
  cleanUps.push(() => controlPlane.close())
  screen.done('control plane', `$ fairlead serve --config ${join(directory, 'config')}`)
  screen.detail(`up in ${seconds(began)}; xDS at ${controlPlane.xds}, HTTP API at ${controlPlane.admin}`)
  return controlPlane
}

/** Shows the split for a while. @returns blue's share of the requests that were sent meanwhile, in percent */
async function watch(screen: Screen, traffic: Traffic, signal: AbortSignal): Promise<number> {
  const counted = traffic.count()
  const until = performance.now() + pictureMs
  screen.line()
  let nextLine = performance.now() + 1000
  while (performance.now() < until || counted.length < requestsPerSecond) {
    await sleep(100, undefined, { signal })
    const share = traffic.share() ?? 0
    const state = `${requestsPerSecond} requests/s, ${number(traffic.answered)} answered, ${failures(traffic)}`
    screen.draw([row('blue', share), row('green', 100 - share), `          ${state}`])
    if (screen.isLive || performance.now() < nextLine) continue
    nextLine += 1000
    screen.line(`   blue ${percent(share)}  ${bar(share / 100, 20)}  green ${percent(100 - share)}  ${state}`)
  }
  return percentOfBlue(counted) ?? 0
}

function row(name: 'blue' | 'green', share: number): string {
  const width = Math.max(10, Math.min(50, (process.stdout.columns ?? 80) - 20))
  return `   ${name.padEnd(6)} ${pc[name](bar(share / 100, width))} ${percent(share)}`
}

const percent = (share: number): string => `${String(Math.round(share)).padStart(3)} %`
const number = (value: number): string => value.toLocaleString('en-US')

function failures({ failed }: Traffic): string {
  return failed === 0 ? '0 failed' : pc.red(`${number(failed)} failed`)
}

/** @returns the lines of the difference */
function shiftTraffic(path: string): readonly string[] {
  return edit(path, {
    [`name: blue, weight: ${before}`]: `name: blue, weight: ${after}`,
    [`name: green, weight: ${100 - before}`]: `name: green, weight: ${100 - after}`,
  })
}

async function showHistory(screen: Screen, { admin }: DemoControlPlane): Promise<void> {
  for (const args of [['snapshots', 'diff', '1'], ['nodes']]) {
    screen.line()
    screen.line(pc.bold(`$ fairlead ${args.join(' ')}`))
    const text = await fairlead(...args, '--server', admin)
    for (const line of text.trimEnd().split('\n')) screen.line(line)
  }
}

/** @throws Error when a request failed, or the split is not what the file says */
function conclude(screen: Screen, traffic: Traffic, first: number, second: number): void {
  const told = (blue: number): string => `${Math.round(blue)}/${100 - Math.round(blue)}`
  if (traffic.failed > 0) {
    const total = number(traffic.answered + traffic.failed)
    throw new Error(`${number(traffic.failed)} of ${total} requests failed; the first: ${traffic.firstFailure}`)
  }
  const isOff = (blue: number, wanted: number): boolean => Math.abs(blue - wanted) > tolerance
  if (isOff(first, before) || isOff(second, after)) {
    const wanted = `${before}/${100 - before} to ${after}/${100 - after}`
    throw new Error(`the split went from ${told(first)} to ${told(second)}, and not from ${wanted}`)
  }
  screen.line()
  const requests = `${number(traffic.answered)} requests, 0 failed`
  screen.done('done', `${requests}; the split went from ${told(first)} to ${told(second)} (blue/green)`)
}

const tryNext = [
  pc.bold('Try next'),
  `  examples/envoy/README.md                        the same by hand, and how to break it`,
  `  node dist/cli/main.js --help                    every command`,
  `  node dist/cli/main.js validate DIRECTORY        your own Envoy resources`,
  `  README.md                                       what it does, and what not yet`,
]

async function run(): Promise<number> {
  const screen = createScreen(process.stdout)
  const abort = new AbortController()
  const cleanUps: CleanUp[] = []
  // A second Ctrl-C must not end the cleaning up, which takes no long time.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => abort.abort())
  // Whoever read this has seen enough.
  process.stdout.on('error', () => abort.abort())
  const interrupted = new Promise<never>((_, reject) => {
    abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error), { once: true })
  })
  const [name] = process.argv.slice(2)
  if (name !== undefined && name !== 'shop') {
    screen.line(`there is no demo ${name}: npm run demo, or npm run demo -- shop`)
    return 2
  }
  const story =
    name === 'shop' ? shopStory(screen, abort.signal, cleanUps, pictureMs) : main(screen, abort.signal, cleanUps)
  try {
    await Promise.race([story, interrupted])
    return 0
  } catch (error) {
    screen.line()
    if (abort.signal.aborted) {
      await Promise.race([story.catch(() => undefined), sleep(abortPatienceMs)])
      screen.line('stopped; everything that was started ends, too')
      return 130
    }
    screen.line(pc.red(`✗ ${error instanceof Error ? error.message : String(error)}`))
    return 1
  } finally {
    for (const cleanUp of cleanUps.reverse()) await Promise.resolve(cleanUp()).catch(() => undefined)
    screen.close()
  }
}

// What is left to happen, a download for one, is of no use any more.
process.exit(await run())
