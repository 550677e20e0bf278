import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../../test/support/temp.ts'
import { createAttachedFiles } from './attached-files.ts'

test('a directory in whose place another comes is watched like the first', async () => {
  const directory = join(tempDir(), 'keys')
  const path = join(directory, 'shop.crt')
  mkdirSync(directory)
  writeFileSync(path, 'one')
  // Longer than the test may take: only events can tell.
  const files = createAttachedFiles({ pollMs: 600_000, settleMs: 1 })
  files.note('shop', [path])
  let onLook = (): void => {}
  const abort = new AbortController()
  const changes = files.changes(abort.signal, () => {
    onLook()
    return []
  })
  const told = changes[Symbol.asyncIterator]()
  const toldAfter = async (act: () => void): Promise<unknown> => {
    const looked = new Promise<void>((resolve) => {
      onLook = resolve
    })
    const next = told.next()
    await looked
    act()
    return (await next).value
  }
  const replace = (): void => {
    renameSync(directory, `${directory}.old`)
    mkdirSync(directory)
  }
  expect(await toldAfter(replace)).toEqual(['shop'])
  expect(await toldAfter(() => writeFileSync(path, 'two'))).toEqual(['shop'])
  expect(await toldAfter(() => writeFileSync(path, 'three'))).toEqual(['shop'])
  abort.abort()
  await told.next()
})
