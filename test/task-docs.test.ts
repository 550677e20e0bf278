import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCommand } from './support/command.ts'
import { stepsOf } from './support/task-page.ts'
import { tempDir } from './support/temp.ts'

const pages = readdirSync(join(import.meta.dirname, '../docs/tasks')).filter((name) => name !== 'README.md')

describe('docs/tasks', () => {
  test.each(pages)('%s is right, and its commands print what it says', async (page) => {
    const directory = tempDir()
    const config = join(directory, 'shop')
    for (const step of stepsOf(page)) {
      if (step.kind === 'file') {
        mkdirSync(dirname(join(directory, step.path)), { recursive: true })
        writeFileSync(join(directory, step.path), step.text)
        continue
      }
      const args = step.args.map((word) => (word === 'shop' ? config : word))
      const { out, err } = await runCommand(args)
      expect({ out: out.replaceAll(config, 'shop'), err }).toEqual({ out: step.output, err: '' })
    }
    const { code, out } = await runCommand(['validate', config])
    expect([code, out]).toEqual([0, expect.stringMatching(/; no problem\n$/)])
  })

  test('are all in the list', () => {
    const list = readFileSync(join(import.meta.dirname, '../docs/tasks/README.md'), 'utf8')
    for (const page of pages) expect(list).toContain(`](${page})`)
  })
})
