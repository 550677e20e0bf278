import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Case, nameOf } from '../conformance/case.ts'
import { readKnownGaps } from '../conformance/known-gaps.ts'
import { applyToOwn } from '../conformance/own-server.ts'
import { readCases, readParts } from '../conformance/read-cases.ts'
import { resultLines, scores } from '../conformance/report.ts'
import { type Result, type Running, runCases } from '../conformance/run-cases.ts'
import { loadWire } from '../conformance/wire.ts'
import { WorldDirectory } from '../conformance/world-directory.ts'
import { startServer } from '../support/server-process.ts'
import { tempDir } from '../support/temp.ts'

const parts = readCases(fileURLToPath(new URL('../conformance/cases', import.meta.url)))
const cases = parts.flatMap((part) => part.cases)
const gaps = readKnownGaps()
let results: readonly Result[] = []
let running: Running

beforeAll(async () => {
  const config = join(tempDir(), 'config')
  mkdirSync(config)
  const { server, adminUrl } = await startServer({ config, allowEmpty: true })
  running = {
    address: server,
    wire: loadWire(),
    worlds: new WorldDirectory(config, 'yaml', applyToOwn(adminUrl)),
    patienceMs: 5_000,
    settleMs: 150,
    // Each waits for silence most of its time.
    jobs: 24,
  }
  results = await runCases(parts, running)
  // Alone it needs a quarter of a minute.
}, 180_000)

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

describe('a case that is not so', () => {
  test.each([
    ['client has: {cluster: [a, b]}', 'after 100 ms: of cluster the client has [a], not [a, b]'],
    ['client has: {cluster: [a@2]}', 'after 100 ms: the cluster a that the client has is not a@2 as it is given'],
    ['server sends: {cluster: [a, b]}', 'after 100 ms: lacking [b]; what came: cluster [a]'],
    ['server sends only: {cluster: []}', 'more than that came of cluster: [a]'],
    ['server sends first: {route: []}', 'first came cluster; nothing came'],
    ['server is silent', 'it is not silent: what came: cluster [a]'],
    ['server ends the stream: OK', 'after 100 ms: the stream is open'],
    ['client accepts: cluster', 'no response of cluster waits for an answer'],
  ])('fails at its line, with what came instead: %s', async (turn, reason) => {
    const text = `
part: Wrong
cases:
- must: It is so
  rule: 20
  over: sotw
  turns:
  - given: {cluster: [a]}
  - client subscribes: {cluster: []}
  - ${turn}
`
    const [result] = await runCases(readParts([{ file: 'wrong.yaml', text }]), { ...running, patienceMs: 100 })
    expect(result?.failure).toMatchObject({ file: 'wrong.yaml', line: 10, turn, reason })
  })
})
