import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { createLog, type Log } from '../log.ts'
import type { Proxy } from '../proxy/create-proxy.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { hostPort } from '../resource/host-port.ts'
import type { Io } from './io.ts'
import { envoyApiOption, option } from './option.ts'

interface Flags {
  readonly config: string
  readonly adminPort?: string
  readonly drainTime: string
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly envoyApi?: string
}

const help = `
It takes the bootstrap that Envoy takes, and does what Envoy would do, or says
which field it does not know: as much of Envoy as this control plane generates.
It is for tests and for looking at things, not for the traffic of others.

On a machine without an Envoy:
  fairlead bootstrap --id edge-1 --cluster edge > envoy.json
  fairlead proxy -c envoy.json

It tells of itself on the admin port of the bootstrap as Envoy does: /ready,
/stats, /config_dump, /clusters, /listeners, /certs, /server_info, /runtime.
`

export function proxyCommand(io: Io): Command {
  return new Command('proxy')
    .description('run the reference proxy: a data plane for machines without an Envoy')
    .addOption(new Option('-c, --config <FILE>', 'a bootstrap in the format of Envoy').makeOptionMandatory())
    .addOption(new Option('--admin-port <PORT>', 'in place of the admin port of the bootstrap; 0 takes a free one'))
    .addOption(option('--drain-time <SECONDS>', 'how long connections of a listener that goes may go on', '600'))
    .addOption(
      option('--log-level <LEVEL>', 'how much it tells', 'info').choices(['debug', 'info', 'warn', 'error', 'silent']),
    )
    .addOption(envoyApiOption())
    .addHelpText('after', help)
    .action((flags: Flags) => run(flags, io))
}

async function run(flags: Flags, io: Io): Promise<void> {
  // Who asks for help need not wait for all of it.
  const { createProxy } = await import('../proxy/create-proxy.ts')
  const log = createLog({
    level: flags.logLevel,
    format: io.err.isTTY === true ? 'text' : 'json',
    stream: io.err,
  })
  const adminPort = flags.adminPort === undefined ? undefined : numberOf('--admin-port', flags.adminPort, 65_535)
  const proxy = await createProxy({
    bootstrap: readBootstrap(flags.config, io),
    api: loadEnvoyApi(flags.envoyApi),
    log,
    drainTimeMs: numberOf('--drain-time', flags.drainTime, 86_400) * 1000,
    ...(adminPort !== undefined && { adminPort }),
  })
  try {
    await untilTheEnd(proxy, log, io)
  } finally {
    await proxy.close()
  }
  log.info('stopped')
}

/** @throws ControlPlaneError `config` when a static listener is not taken */
async function untilTheEnd(proxy: Proxy, log: Log, io: Io): Promise<void> {
  log.info({ ...(proxy.adminPort !== undefined && { admin: proxy.adminPort }) }, 'the reference proxy has started')
  const aborted = new Promise<void>((done) => {
    if (io.signal.aborted) done()
    else io.signal.addEventListener('abort', () => done(), { once: true })
  })
  const live = proxy.live.then(() =>
    log.info({ listeners: Object.fromEntries(addressesOf(proxy)) }, 'the reference proxy is live'),
  )
  // What it was told to do may be impossible; that it is not live yet is no reason to stay when it is to end.
  await Promise.race([live, aborted])
  await aborted
}

function addressesOf(proxy: Proxy): (readonly [string, string])[] {
  return [...proxy.listeners.listeners].map(([name, { address }]) => [name, hostPort(address.ip, address.port)])
}

/** @throws ControlPlaneError `usage` */
function readBootstrap(file: string, io: Io): string {
  try {
    return readFileSync(resolve(io.cwd, file), 'utf8')
  } catch (error) {
    throw new ControlPlaneError('usage', `the bootstrap ${file} cannot be read: ${messageOf(error)}`)
  }
}

/** @throws ControlPlaneError `usage` */
function numberOf(flag: string, text: string, atMost: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= atMost) return value
  throw new ControlPlaneError('usage', `${flag} ${text} is no whole number from 0 to ${atMost}`)
}
