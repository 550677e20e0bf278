import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createLog, type Log, type LogOptions } from './log.ts'

function written(format: LogOptions['format'], write: (log: Log) => void): string {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  write(createLog({ level: 'info', format, stream }).child({ room: 'xds' }))
  return text.replace(/^\[[\d:.]+\] /gm, '')
}

describe('the log for people', () => {
  test('has an entry in one line, its fields behind the message', () => {
    expect(written('text', (log) => log.info({ node: 'edge-1', names: ['a', 'b'], ms: 3 }, 'client connected'))).toBe(
      'INFO: client connected  node=edge-1  names=["a","b"]  ms=3\n',
    )
  })

  test('shows a problem as `validate` does: place, what is wrong, the fix', () => {
    const problem = {
      code: 'syntax',
      place: 'a.yaml:1:2',
      path: 'resources[0]',
      problem: 'It is none.',
      fix: 'Mend it.',
    }
    expect(written('text', (log) => log.error(problem, 'configuration problem'))).toBe(
      'ERROR: a.yaml:1:2: It is none. (syntax)\n  at resources[0]\n  fix: Mend it.\n',
    )
    expect(written('text', (log) => log.warn({ ...problem, path: '', fix: '' }, 'configuration problem'))).toBe(
      'WARN: a.yaml:1:2: It is none. (syntax)\n',
    )
  })

  test('shows where an error came from', () => {
    const text = written('text', (log) => log.error({ err: new Error('it broke'), url: '/x' }, 'request failed'))
    expect(text).toMatch(/^ERROR: request failed {2}url=\/x\nError: it broke\n\s+at .*log\.test\.ts/)
  })
})

test('the log for collectors is a JSON object a line', () => {
  const line = written('json', (log) => log.info({ node: 'edge-1' }, 'client connected'))
  expect(JSON.parse(line)).toMatchObject({ level: 30, room: 'xds', node: 'edge-1', msg: 'client connected' })
})
