import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Case, nameOf } from '../conformance/case.ts'
import { readKnownGaps } from '../conformance/known-gaps.ts'
import { applyToOwn } from '../conformance/own-server.ts'
import { readCases } from '../conformance/read-cases.ts'
import { resultLines, scores } from '../conformance/report.ts'
import { type Result, runCases } from '../conformance/run-cases.ts'
import { loadWire } from '../conformance/wire.ts'
import { WorldDirectory } from '../conformance/world-directory.ts'
import { startServer } from '../support/server-process.ts'
import { tempDir } from '../support/temp.ts'

const parts = readCases(fileURLToPath(new URL('../conformance/cases', import.meta.url)))
const cases = parts.flatMap((part) => part.cases)
const gaps = readKnownGaps()
let results: readonly Result[] = []

beforeAll(async () => {
  const config = join(tempDir(), 'config')
  mkdirSync(config)
  const { server, adminUrl } = await startServer({ config, allowEmpty: true })
  const worlds = new WorldDirectory(config, 'yaml', applyToOwn(adminUrl))
  results = await runCases(parts, {
    address: server,
    wire: loadWire(),
    worlds,
    patienceMs: 5_000,
    settleMs: 150,
    // Each waits for silence most of its time.
    jobs: 24,
  })
})

function resultOf(one: Case): Result | undefined {
  return results.find(({ title, protocol }) => title === one.title && protocol === one.protocol)
}

describe('the conformance cases', () => {
  test('are many, and most of them of the specification', () => {
    expect(cases.length).toBeGreaterThan(250)
    expect(cases.filter(({ level }) => level === 'must').length).toBeGreaterThan(cases.length / 2)
  })

  test.each(cases.map((one) => [nameOf(one), one] as const))('%s', (_name, one) => {
    const result = resultOf(one)
    if (result === undefined) throw new Error('it was not played')
    if (gaps.why(result) === undefined) expect(result.failure && resultLines(result)).toBeUndefined()
  })

  test('hold throughout, too', () => {
    const broken = results.filter(({ protocol, failure }) => protocol === '-' && failure !== undefined)
    expect(broken.map((result) => resultLines(result))).toEqual([])
  })
})

describe('known-gaps.yaml', () => {
  test('holds no MUST', () => {
    const { must } = scores(results)
    expect(must.of).toBeGreaterThan(200)
    expect(must.passed).toBe(must.of)
  })

  test('only shrinks: what passes is a gap no more', () => {
    expect(gaps.outdated(results)).toEqual([])
  })
})
