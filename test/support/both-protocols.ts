import { type TestOptions, test } from 'vitest'
import { asOneOfSeveral } from './at-test-end.ts'
import type { Protocol } from './wire-client.ts'

/**
 * A test for each protocol, `%s` in its name, both at once: end-to-end tests wait for other processes most of their time.
 * So each has an Envoy, ports and files of its own, and what is measured of this process is of both.
 */
export function testBothProtocols(
  name: string,
  body: (protocol: Protocol) => Promise<void>,
  options: TestOptions = {},
): void {
  test.concurrent.for<Protocol>(['sotw', 'delta'])(name, options, (protocol, context) =>
    asOneOfSeveral(context, () => body(protocol)),
  )
}
