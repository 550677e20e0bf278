/**
 * What waits most of its time, for another process or for silence, runs several at once (`maxConcurrency` of
 * vitest.config.ts). Each has a server, ports and files of its own; what is measured of this process is of all of them.
 */
import { type TestOptions, test } from 'vitest'
import { asOneOfSeveral } from './at-test-end.ts'
import type { Protocol } from './wire-client.ts'

/** `test`, beside its neighbours. */
export function testBeside(name: string, body: () => Promise<void>, options: TestOptions = {}): void {
  test.concurrent(name, options, (context) => asOneOfSeveral(context, body))
}

/** A test for each protocol, `%s` in its name, both at once. */
export function testBothProtocols(
  name: string,
  body: (protocol: Protocol) => Promise<void>,
  options: TestOptions = {},
): void {
  for (const protocol of ['sotw', 'delta'] as const) {
    testBeside(name.replace('%s', protocol), () => body(protocol), options)
  }
}
