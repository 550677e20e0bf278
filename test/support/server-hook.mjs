// Loaded into a server's process before it (`--import`), for what no production endpoint tells or does. It answers questions of
// the test that started the process, over its IPC channel.
import fsPromises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/** Milliseconds by which the wall clock is off; what is monotonic (timers, performance.now) is not, as in a real jump. */
let offset = 0
const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(RealDate.now() + offset)
    else super(...parts)
  }

  static now() {
    return RealDate.now() + offset
  }
}

/** Milliseconds that each write and sync of a file takes longer. */
let diskDelay = 0
const slowly = async () => {
  if (diskDelay > 0) await new Promise((resolve) => setTimeout(resolve, diskDelay))
}
const open = fsPromises.open
fsPromises.open = async (...args) => {
  const handle = await open(...args)
  for (const name of ['appendFile', 'sync', 'datasync']) {
    const act = handle[name].bind(handle)
    handle[name] = async (...given) => {
      await slowly()
      return await act(...given)
    }
  }
  return handle
}
syncBuiltinESMExports()

const answers = {
  jumpClock: (ms) => {
    offset += ms
  },
  slowDisk: (ms) => {
    diskDelay = ms
  },
  usage: async () => {
    // Twice, with a turn between: what a finalizer lets go of is free only then.
    collect()
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    const handles = {}
    for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1
    const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage()
    return { heapUsed, external, arrayBuffers, rss, handles }
  },
}

process.on('message', async ({ id, what, argument }) => {
  process.send({ id, answer: await answers[what](argument) })
})
// The server ends when it has nothing more to do, channel or not.
process.channel.unref()
