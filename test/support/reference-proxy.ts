import { Writable } from 'node:stream'
import { createLog } from '../../src/log.ts'
import { createProxy, type Proxy } from '../../src/proxy/create-proxy.ts'
import { atTestEnd, ifTestFails } from './at-test-end.ts'
import { type EnvoyProcess, overAdmin, tail } from './envoy-process.ts'

/** The reference proxy in this process for one test (or one file): closed at its end; a failing test shows the end of its log. */
export async function openReferenceProxy(
  bootstrap: object | string,
  adminPort?: number,
): Promise<Proxy & { log(): string }> {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  const proxy = await createProxy({
    bootstrap,
    ...(adminPort !== undefined && { adminPort }),
    stdout: devNull(),
    log: createLog({ level: 'info', format: 'json', stream }),
  })
  ifTestFails(() => console.error(`the end of the log of the reference proxy:\n${tail(text)}`))
  atTestEnd(() => proxy.close())
  // Spread, its getters would be values.
  return Object.assign(proxy, { log: () => text })
}

/** What a listener logs to stdout is no part of a test's report. */
const devNull = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })

/** The same as `startEnvoy` of envoy.ts gives, for suites that ask both: all that is asked goes by its admin port. */
export async function startReferenceProxy({
  bootstrap,
}: {
  readonly bootstrap: object | string
}): Promise<EnvoyProcess> {
  const proxy = await openReferenceProxy(bootstrap, 0)
  return overAdmin({
    pid: process.pid,
    admin: `http://127.0.0.1:${proxy.adminPort}`,
    log: () => proxy.log(),
    ensureRunning: () => {},
    close: () => proxy.close(),
  })
}
