import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCommand } from '../../test/support/command.ts'
import { tempDir } from '../../test/support/temp.ts'

const documents = `
kind: Service
name: cart
port: 80
---
kind: Service
name: orders-db
protocol: tcp
port: 5432
address: 127.0.0.2
---
kind: Sidecar
name: cart
nodes: {cluster: cart}
service: cart
inbound: {port: 15006, app: "127.0.0.1:8080"}
capture: iptables
---
kind: Sidecar
name: web
nodes: {cluster: web}
---
kind: Service
name: cache
protocol: tcp
port: 6379
address: "::1"
---
kind: Sidecar
name: both
nodes: {cluster: both}
service: cart
inbound: {port: 15006, app: "[::1]:8080"}
capture: iptables
ipv6: true
`

function config(): string {
  const directory = tempDir()
  writeFileSync(join(directory, 'shop.yaml'), documents)
  return directory
}

const capture = async (...args: readonly string[]): Promise<Awaited<ReturnType<typeof runCommand>>> =>
  await runCommand(['capture', '--config', config(), ...args])

/** Without the comment, which names the file. */
const rulesOf = (out: string): readonly string[] => out.trimEnd().split('\n').slice(1)

describe('fairlead capture', () => {
  test('prints what iptables-restore takes: the own ports in, everything but Envoy and the host itself out', async () => {
    const excluded = ['--exclude-port', '9000', '--exclude-cidr', '10.1.0.0/16']
    const { code, out, err } = await capture('--sidecar', 'cart', '--uid', '1337', ...excluded)
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^# Sidecar cart \(.*shop\.yaml:12:1\), for iptables-restore --noflush\n/)
    expect(rulesOf(out)).toEqual([
      '*nat',
      ':FAIRLEAD_IN - [0:0]',
      ':FAIRLEAD_OUT - [0:0]',
      '-A PREROUTING -p tcp -j FAIRLEAD_IN',
      '-A OUTPUT -p tcp -j FAIRLEAD_OUT',
      '-A FAIRLEAD_IN -p tcp --dport 8080 -m comment --comment "cart" -j REDIRECT --to-ports 15006',
      '-A FAIRLEAD_OUT -m owner --uid-owner 1337 -j RETURN',
      '-A FAIRLEAD_OUT -p tcp --dport 9000 -j RETURN',
      '-A FAIRLEAD_OUT -d 10.1.0.0/16 -j RETURN',
      '-A FAIRLEAD_OUT -d 127.0.0.2/32 -p tcp --dport 5432 -m comment --comment "orders-db" -j REDIRECT --to-ports 15001',
      '-A FAIRLEAD_OUT -o lo -j RETURN',
      '-A FAIRLEAD_OUT -d 127.0.0.0/8 -j RETURN',
      '-A FAIRLEAD_OUT -p tcp -j REDIRECT --to-ports 15001',
      'COMMIT',
    ])
  })

  test('prints the rules of IPv6 apart, for a Sidecar that listens there', async () => {
    const flags = ['--sidecar', 'both', '--uid', '1337', '--exclude-cidr', '10.1.0.0/16', '--exclude-cidr', 'fd00::/8']
    const { code, out, err } = await capture(...flags, '--ipv6')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/, for ip6tables-restore --noflush\n/)
    expect(rulesOf(out).slice(5)).toEqual([
      '-A FAIRLEAD_IN -p tcp --dport 8080 -m comment --comment "cart" -j REDIRECT --to-ports 15006',
      '-A FAIRLEAD_OUT -m owner --uid-owner 1337 -j RETURN',
      '-A FAIRLEAD_OUT -d fd00::/8 -j RETURN',
      '-A FAIRLEAD_OUT -d ::1/128 -p tcp --dport 6379 -m comment --comment "cache" -j REDIRECT --to-ports 15001',
      '-A FAIRLEAD_OUT -o lo -j RETURN',
      '-A FAIRLEAD_OUT -d ::1/128 -j RETURN',
      '-A FAIRLEAD_OUT -p tcp -j REDIRECT --to-ports 15001',
      'COMMIT',
    ])
    const { out: others } = await capture(...flags)
    expect(rulesOf(others)).toContain('-A FAIRLEAD_OUT -d 10.1.0.0/16 -j RETURN')
    expect(others).not.toContain('fd00')
    expect(others).not.toContain('6379')
    expect((await capture('--sidecar', 'cart', '--ipv6', '--remove')).code).toBe(0)
  })

  test('replaces rules that are in place, without a second way to them', async () => {
    const { out } = await capture('--sidecar', 'cart', '--gid', '7', '--refresh')
    expect(rulesOf(out).filter((line) => line.includes('-j FAIRLEAD'))).toEqual([])
    expect(rulesOf(out)).toContain('-A FAIRLEAD_OUT -m owner --gid-owner 7 -j RETURN')
  })

  test('takes them out again', async () => {
    const { code, out } = await capture('--sidecar', 'cart', '--remove')
    expect(code).toBe(0)
    expect(rulesOf(out)).toEqual([
      '*nat',
      '-D PREROUTING -p tcp -j FAIRLEAD_IN',
      '-D OUTPUT -p tcp -j FAIRLEAD_OUT',
      '-F FAIRLEAD_IN',
      '-X FAIRLEAD_IN',
      '-F FAIRLEAD_OUT',
      '-X FAIRLEAD_OUT',
      'COMMIT',
    ])
  })

  test.each<[readonly string[], number, RegExp]>([
    [['--sidecar', 'cart'], 2, /give --uid or --gid: what Envoy sends would come back to it without end/],
    [['--uid', '1'], 2, /required option '--sidecar <NAME>'/],
    [['--sidecar', 'crat', '--uid', '1'], 1, /there is no Sidecar crat in .*: did you mean cart\?/],
    [['--sidecar', 'web', '--uid', '1'], 1, /shop\.yaml:19:1: the Sidecar web has no `capture: iptables`/],
    [['--sidecar', 'cart', '--uid', 'envoy'], 2, /Write the number: `id -u envoy` prints it/],
    [['--sidecar', 'cart', '--uid', '1', '--exclude-port', '0'], 2, /Write a port: 1 to 65535/],
    [['--sidecar', 'cart', '--uid', '1', '--ipv6'], 1, /shop\.yaml:12:1: the Sidecar cart has no `ipv6: true`/],
    [['--sidecar', 'cart', '--uid', '1', '--exclude-cidr', 'fd00::/129'], 2, /one of IPv6: fd00::\/8/],
    [['--sidecar', 'cart', '--uid', '1', '--exclude-cidr', '10.0.0.0/33'], 2, /Write an IPv4 network: 10\.0\.0\.0\/8/],
    [['--sidecar', 'cart', '--uid', '1', '--refresh', '--remove'], 2, /cannot be used with option '--remove'/],
  ])('%j exits %i', async (args, exitCode, words) => {
    const { code, out, err } = await capture(...args)
    expect([code, out]).toEqual([exitCode, ''])
    expect(err).toMatch(words)
  })
})
