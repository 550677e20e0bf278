import { Writable } from 'node:stream'
import { type ControlPlane, type ControlPlaneDeps, createControlPlane } from '../../src/control-plane.ts'
import { formatOrigin } from '../../src/errors.ts'
import { createLog } from '../../src/log.ts'
import { resolveOptions } from '../../src/options/options.ts'
import { atTestEnd, ifTestFails } from './at-test-end.ts'
import { tail } from './envoy-process.ts'
import { tempDir } from './temp.ts'

export interface TestControlPlane extends ControlPlane {
  /** `127.0.0.1:PORT` of xDS, as a bootstrap names it. */
  readonly server: string
  /** `http://127.0.0.1:PORT` */
  readonly adminUrl: string
  /** What it has logged so far, a JSON object a line. */
  log(): string
}

/**
 * The whole product in this process, with the options that `fairlead serve` would have: closed at the test's end; a failing
 * test shows the end of its log.
 * @param flags options by name, as the command line gives them; on free ports and with a history of its own by default
 * @param sources in place of those that the options name
 * @throws Error for options that `serve` would refuse
 */
export async function startControlPlane(
  flags: Readonly<Record<string, unknown>>,
  sources?: ControlPlaneDeps['sources'],
): Promise<TestControlPlane> {
  const own = { listen: '127.0.0.1:0', admin: '127.0.0.1:0', snapshots: tempDir() }
  const { options, problems } = resolveOptions({ flags: { ...own, ...flags }, env: {} })
  if (options === undefined) throw new Error(problems.map(({ message }) => message).join('\n'))
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  const controlPlane = await createControlPlane(options, {
    log: createLog({ level: options.logLevel, format: 'json', stream }),
    ...(sources && { sources }),
  })
  atTestEnd(() => controlPlane.close())
  ifTestFails(() => console.error(`the end of the log of the control plane:\n${tail(text)}`))
  return {
    ...controlPlane,
    server: `127.0.0.1:${controlPlane.xdsPort}`,
    adminUrl: `http://127.0.0.1:${controlPlane.adminPort}`,
    log: () => text,
  }
}

/** Its standing problems, a line each: a test that writes only what is valid expects none. */
export function problemsOf({ pipeline }: ControlPlane): readonly string[] {
  return pipeline.problems.map(({ origin, path, message }) => `${formatOrigin(origin)} ${path}: ${message}`)
}

/** How many responses of any type clients have rejected. */
export function rejections(controlPlane: TestControlPlane): Promise<number> {
  return metric(controlPlane, 'fairlead_nacks_total')
}

/** A counter or gauge as operators see it, summed over its labels. */
export async function metric({ adminUrl }: Pick<TestControlPlane, 'adminUrl'>, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  const lines = text.split('\n')
  if (!lines.some((line) => line.startsWith(`# TYPE ${name} `))) throw new Error(`there is no metric ${name}`)
  const values = lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}
