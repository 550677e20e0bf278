import { describe, expect, test } from 'vitest'
import { runCommand } from '../../test/support/command.ts'

const cart = [
  'register',
  '--service',
  'cart',
  '--port',
  '8080',
  '--address',
  '10.0.0.1',
  '--etcd',
  'http://127.0.0.1:1',
]

/** With the value of a flag changed. */
const having = (flag: string, value: string): readonly string[] => [
  ...cart.flatMap((word, index) => (cart[index - 1] === flag ? [value] : [word])),
  ...(cart.includes(flag) ? [] : [flag, value]),
]

describe('fairlead register', () => {
  test.each<[readonly string[], RegExp]>([
    [['register', '--service', 'cart', '--port', '80'], /required option '--etcd <URLS>'/],
    [having('--service', 'Cart'), /--service: This is no name/],
    [having('--port', '70000'), /--port: /],
    [having('--port', 'x'), /--port x is not a number/],
    [having('--instance', 'a_b'), /--instance: This is no name/],
    [having('--label', 'x'), /Write KEY=VALUE/],
    [having('--weight', '-1'), /--weight -1 is not a number/],
    [having('--ttl', '10'), /--ttl 10 cannot be used/],
    [having('--drain', 'soon'), /--drain soon cannot be used/],
    [having('--etcd', 'ftp://x'), /--etcd cannot be used/],
    [[...cart, '--', '/no/such/program'], /\/no\/such\/program cannot be started/],
  ])('is wrong use as %s', async (args, message) => {
    const { code, out, err } = await runCommand(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(message)
  })

  test('ends as its command ends, also before that was registered', async () => {
    const program = ['--', process.execPath, '-e', 'process.exit(5)']
    expect((await runCommand([...cart, ...program])).code).toBe(5)
    const killed = ['--', process.execPath, '-e', "process.kill(process.pid, 'SIGKILL')"]
    expect((await runCommand([...cart, ...killed])).code).toBe(137)
  })
})
