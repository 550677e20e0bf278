import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import * as nodeFs from 'node:fs/promises'
import { basename, join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { type Holder, type Lock, takeLock } from './lock.ts'

let directory: string
let path: string

beforeEach(() => {
  directory = tempDir()
  path = join(directory, 'lock')
})

interface Content {
  readonly pid: number
  readonly started: string
  readonly sign?: string
}

const content = (): Content => JSON.parse(readFileSync(path, 'utf8')) as Content
const write = (lock: Content): void => writeFileSync(path, JSON.stringify(lock))
const isHeld = (lock: Lock | Holder): boolean => !('release' in lock)

async function take(at = path): Promise<Lock | Holder> {
  const lock = await takeLock(nodeFs, at)
  if ('release' in lock) atTestEnd(() => lock.release())
  return lock
}

async function startOther(): Promise<ChildProcess> {
  const child = spawn('sleep', ['60'])
  atTestEnd(() => void child.kill('SIGKILL'))
  await once(child, 'spawn')
  return child
}

/** The name of a socket at which somebody listened who was killed. */
async function leaveSign(): Promise<string> {
  const name = 'lock.0123456789ab'
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  const child = spawn(process.execPath, ['-e', script, join(directory, name)])
  await once(child, 'exit')
  expect(readdirSync(directory)).toContain(name)
  return name
}

// Of another container: its pids say nothing here.
const goneHere = { pid: 4_194_305, started: 'this boot/1' }

test('a lock is held as long as its process listens, whatever stands for its pid here', async () => {
  const first = (await take()) as Lock
  for (const seen of [goneHere, { pid: process.pid, started: 'this boot/1' }, { pid: process.pid, started: '' }]) {
    write({ ...content(), ...seen })
    expect(await take()).toEqual({ pid: seen.pid })
  }
  expect(readdirSync(directory).sort()).toEqual(['lock', content().sign])
  rmSync(path)
  await first.release()
  expect(readdirSync(directory)).toEqual([])
})

test('a lock is taken over whose process listens no more, whoever has its pid now, and nothing of it is left', async () => {
  const other = await startOther()
  write({ pid: other.pid as number, started: '', sign: await leaveSign() })
  const lock = (await take()) as Lock
  expect(isHeld(lock)).toBe(false)
  expect(readdirSync(directory).sort()).toEqual(['lock', content().sign])
  await lock.release()
  expect(readdirSync(directory)).toEqual([])
})

test('a lock whose socket is gone goes by the pid, as one of an earlier version does', async () => {
  const other = await startOther()
  write({ pid: other.pid as number, started: '', sign: 'lock.0123456789ab' })
  expect(isHeld(await take())).toBe(true)
  write({ ...goneHere, sign: 'lock.0123456789ab' })
  expect(isHeld(await take())).toBe(false)
})

test('nothing is removed that is no socket of a lock', async () => {
  mkdirSync(join(directory, 'history'))
  writeFileSync(join(directory, 'kept'), '')
  write({ ...goneHere, sign: '../kept' })
  renameSync(path, join(directory, 'history', 'lock'))
  expect(isHeld(await take(join(directory, 'history', 'lock')))).toBe(false)
  expect(existsSync(join(directory, 'kept'))).toBe(true)
})

test('where a path is too long for a socket, a lock goes by the pid', async () => {
  const long = join(directory, 'x'.repeat(120))
  mkdirSync(long)
  const lock = (await take(join(long, 'lock'))) as Lock
  expect(readdirSync(long)).toEqual(['lock'])
  const other = await startOther()
  await lock.release()
  writeFileSync(join(long, 'lock'), JSON.stringify({ pid: other.pid, started: '' }))
  expect(await take(join(long, 'lock'))).toEqual({ pid: other.pid })
})

test.each(Array.from({ length: 28 }, (_, index) => 85 + index))(
  'a directory whose path has %i bytes has nothing in it or beside it but the lock and its socket',
  async (length) => {
    const parent = join(directory, 'of many')
    const within = join(parent, 'x'.repeat(length - parent.length - 1))
    mkdirSync(within, { recursive: true })
    const lock = (await take(join(within, 'lock'))) as Lock
    const { sign } = JSON.parse(readFileSync(join(within, 'lock'), 'utf8')) as Content
    expect(readdirSync(within).sort()).toEqual(['lock', ...(sign === undefined ? [] : [sign])])
    expect(isHeld(await take(join(within, 'lock')))).toBe(true)
    await lock.release()
    expect(readdirSync(within)).toEqual([])
    expect(readdirSync(parent)).toEqual([basename(within)])
  },
)

test('a lock is held whose process listens where it cannot be asked', async () => {
  const first = (await take()) as Lock
  write({ ...content(), ...goneHere })
  const longer = join(tempDir(), 'x'.repeat(100))
  symlinkSync(directory, longer)
  expect(await take(join(longer, 'lock'))).toEqual({ pid: goneHere.pid })
  rmSync(path)
  await first.release()
  expect(readdirSync(directory)).toEqual([])
})

test('a lock is held where asking its process fails otherwise than by nobody being there', async () => {
  const sign = 'lock.0123456789ab'
  symlinkSync(sign, join(directory, sign))
  write({ ...goneHere, sign })
  expect(await take()).toEqual({ pid: goneHere.pid })
})

test('a fresh lock that somebody moves away for a stale one is put back, whatever another moved away before', async () => {
  write(goneHere)
  const steps = new EventEmitter()
  const [found, taken] = [once(steps, 'found'), once(steps, 'taken')]
  // It has read the stale lock, and comes to move it when a fresh one is in its place.
  const late = takeLock(
    {
      ...nodeFs,
      async rename(from, to) {
        steps.emit('found')
        await taken
        await nodeFs.rename(from, to)
      },
    },
    path,
  )
  await found
  const early = await takeLock(
    {
      ...nodeFs,
      async rename(from, to) {
        await nodeFs.rename(from, to)
        await take()
        steps.emit('taken')
        await late
      },
    },
    path,
  )
  expect([await late, early]).toEqual([{ pid: process.pid }, { pid: process.pid }])
  expect(readdirSync(directory).sort()).toEqual(['lock', content().sign])
})
