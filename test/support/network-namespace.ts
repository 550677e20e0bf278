import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'vitest'
import { atTestEnd } from './at-test-end.ts'
import { findProgram } from './find-program.ts'
import { describeAsRoot, notHere } from './needs.ts'
import { tempDir } from './temp.ts'

const programs = ['ip', 'iptables-restore', 'setpriv', 'unshare']

/** A suite that needs root, the kernel's own network tools, and leave to make a network namespace. */
export function describeWithNamespaces(name: string, suite: () => void): void {
  describeAsRoot(name, suite, { programs, isLet: canMake, otherwise: 'lets nobody make a network namespace' })
}

/** A host can be without it. */
const hasIpv6: boolean = existsSync('/proc/net/if_inet6') && findProgram('ip6tables-restore') !== undefined

/** A test of a namespace that needs IPv6. Without it, it is skipped, and says so in its name. */
export function testWithIpv6(name: string, run: () => Promise<void>): void {
  if (hasIpv6) test(name, run)
  else test.skip(`${name} ${notHere('has no IPv6, or no ip6tables')}`, run)
}

const canMake = (): boolean => spawnSync('unshare', ['-n', 'true']).status === 0

export interface Namespace {
  /** This side's address, and the other side's. */
  readonly here: string
  readonly there: string
  /** By IPv6, where the host has it. */
  readonly here6: string
  readonly there6: string
  /** A program that runs another within. */
  wrap(program: string): string
  /** Runs to its end, as somebody who is not root, and resolves to what it printed. @throws Error where it fails */
  run(script: string, ...args: readonly string[]): Promise<string>
  /** Runs until the test's end; resolves with its first line. */
  start(script: string, ...args: readonly string[]): Promise<string>
  /** @throws Error where `iptables-restore`, or `ip6tables-restore`, refuses it */
  restore(rules: string, family?: 4 | 6): void
  rules(family?: 4 | 6): string
}

const tablesOf = (family: 4 | 6): string => (family === 4 ? 'iptables' : 'ip6tables')

let made = 0

/** A network of its own, joined to this one by a link, for one test. */
export function createNamespace(): Namespace {
  const name = `fairlead-${process.pid}-${(made += 1)}`
  const net = `10.213.${process.pid % 250}`
  const [here, there] = [`${net}.${made * 4 + 1}`, `${net}.${made * 4 + 2}`]
  const link = `fl${process.pid % 100_000}x${made}`
  const ip = (...args: readonly string[]): void => void execFileSync('ip', args)
  ip('netns', 'add', name)
  // The link goes with it.
  atTestEnd(() => ip('netns', 'del', name))
  ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  ip('addr', 'add', `${here}/30`, 'dev', link)
  ip('link', 'set', link, 'up')
  ip('-n', name, 'addr', 'add', `${there}/30`, 'dev', 'eth0')
  ip('-n', name, 'link', 'set', 'eth0', 'up')
  const net6 = `fd00:213:${(process.pid % 65_536).toString(16)}:${made.toString(16)}`
  const [here6, there6] = [`${net6}::1`, `${net6}::2`]
  ip('-n', name, 'link', 'set', 'lo', 'up')
  ip('-n', name, 'route', 'add', 'default', 'via', here)
  if (hasIpv6) {
    // An address is there at once where nobody is asked whether it is taken.
    ip('addr', 'add', `${here6}/64`, 'dev', link, 'nodad')
    ip('-n', name, 'addr', 'add', `${there6}/64`, 'dev', 'eth0', 'nodad')
    ip('-n', name, '-6', 'route', 'add', 'default', 'via', here6)
  }
  const within = ['netns', 'exec', name]
  const asNobody = [...within, 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e']
  return {
    here,
    there,
    here6,
    there6,
    wrap(program) {
      const path = join(tempDir(), 'within')
      writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${name} ${program} "$@"\n`)
      chmodSync(path, 0o755)
      return path
    },
    async run(script, ...args) {
      return (await promisify(execFile)('ip', [...asNobody, script, ...args], { timeout: 15_000 })).stdout.trim()
    },
    async start(script, ...args) {
      const child = spawn('ip', [...asNobody, script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
      atTestEnd(async () => {
        child.kill('SIGKILL')
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      })
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      return line.toString().trim()
    },
    restore(rules, family = 4) {
      execFileSync('ip', [...within, `${tablesOf(family)}-restore`, '--noflush'], { input: rules })
    },
    rules: (family = 4) =>
      execFileSync('ip', [...within, `${tablesOf(family)}-save`, '-t', 'nat'], { encoding: 'utf8' }),
  }
}
