import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { problems } from '../support/admin-client.ts'
import { createFileStore } from '../support/document-store.ts'
import { cluster } from '../support/documents.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { describeWithDisks } from '../support/small-disk.ts'
import { tempDir } from '../support/temp.ts'

/** A program that runs Node as a container does: as process 1 among processes of its own. */
function createContainer(proc: 'shown' | 'hidden'): string {
  const path = join(tempDir(), 'node')
  const hide = proc === 'shown' ? '' : 'mount -t tmpfs none /proc && '
  const script = `exec unshare --pid --fork --kill-child --mount-proc sh -c '${hide}exec "$0" "$@"' "${process.execPath}" "$@"`
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

const historyProblems = async ({ adminUrl }: ServerProcess): Promise<readonly string[]> =>
  (await problems(adminUrl)).filter(({ code }) => code === 'history').map(({ message }) => message)

const taken = 'another server (pid 1) writes the history in this directory: this one keeps its own in memory only'

describeWithDisks('servers that are each process 1 of a container, with their history on one volume', () => {
  test.each(['shown', 'hidden'] as const)('know who lives and who was killed, with /proc %s', async (proc) => {
    const store = createFileStore()
    await store.write(cluster('cart'))
    const flags = { ...store.flags, snapshots: tempDir() }
    const start = (): Promise<ServerProcess> => startServer(flags, { node: createContainer(proc) })

    const first = await start()
    const besides = await start()
    expect([await historyProblems(first), await historyProblems(besides)]).toEqual([[], [taken]])
    await besides.kill()
    await first.kill()

    const anew = await start()
    expect(await historyProblems(anew)).toEqual([])
    const after = await start()
    expect(await historyProblems(after)).toEqual([taken])
    await anew.kill()
    await vi.waitFor(async () => expect(await historyProblems(after)).toEqual([]), { timeout: 15_000, interval: 500 })
  })
})
