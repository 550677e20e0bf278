/** What the cases are played against: where it is, and how it is told what to serve. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { applyToOwn, markerFile } from './own-server.ts'
import type { Apply } from './world-directory.ts'

export interface Target {
  readonly address: string
  readonly apply: Apply
  close(): Promise<void>
}

const builtMain = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** A server that runs already. @param command run in a shell with the directory as its argument */
export function foreignTarget(address: string, command: string): Target {
  return { address, apply: (directory) => runCommand(command, directory), close: async () => {} }
}

/** @throws Error with what the command wrote to stderr, when it fails */
async function runCommand(command: string, directory: string): Promise<void> {
  const child = spawn('/bin/sh', ['-c', `${command} "$1"`, 'sh', directory], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`the command of --apply ended with ${code}: ${said.trim()}`)
}

/** `fairlead serve`, as it was built, on free ports. */
export async function startOwn(config: string): Promise<Target> {
  const own = mkdtempSync(join(tmpdir(), 'conformance-'))
  const flags = ['--config', config, '--allow-empty', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
  const child = spawn(
    process.execPath,
    [
      builtMain,
      'serve',
      ...flags,
      '--snapshots',
      join(own, 'snapshots'),
      '--log-format',
      'json',
      '--drain-timeout',
      '0s',
    ],
    { cwd: own, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const ended = once(child, 'close')
  const { xds, admin } = await addressesOf(child.stderr)
  return {
    address: xds,
    apply: applyToOwn(admin),
    close: async () => {
      child.kill('SIGKILL')
      await ended
      rmSync(own, { recursive: true, force: true })
      rmSync(join(config, markerFile), { force: true })
    },
  }
}

/** From the line by which it says that it is up. */
async function addressesOf(stderr: Readable): Promise<{ readonly xds: string; readonly admin: string }> {
  let text = ''
  for await (const chunk of stderr.iterator({ destroyOnReturn: false })) {
    text += String(chunk)
    const line = text.split('\n').find((one) => one.includes('"fairlead is up"') && one.endsWith('}'))
    if (line === undefined) continue
    stderr.resume()
    return JSON.parse(line) as { xds: string; admin: string }
  }
  throw new Error(`fairlead did not start:\n${text}`)
}
