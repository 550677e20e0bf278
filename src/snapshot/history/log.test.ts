import { describe, expect, it } from 'vitest'
import { frameRecord, readRecords } from './log.ts'

const texts = ['first', 'the second', '3']
const file = Buffer.concat(texts.map((text) => frameRecord(Buffer.from(text))))
const read = (bytes: Uint8Array): string[] =>
  [...readRecords(bytes)].map((record) => Buffer.from(record.bytes).toString())

describe('history log', () => {
  it('reads back what it framed', () => {
    expect(read(file)).toEqual(texts)
    expect([...readRecords(file)].at(-1)?.end).toBe(file.length)
  })

  it('reads the whole records before a tail that is torn at any offset', () => {
    const ends = [...readRecords(file)].map((record) => record.end)
    for (let length = 0; length < file.length; length++) {
      expect(read(file.subarray(0, length))).toEqual(texts.slice(0, ends.filter((end) => end <= length).length))
    }
  })

  it('ends before a record in which any one bit is wrong', () => {
    const secondBegins = 8 + (texts[0] as string).length
    const secondEnds = secondBegins + 8 + (texts[1] as string).length
    for (let bit = secondBegins * 8; bit < secondEnds * 8; bit++) {
      const damaged = Buffer.from(file)
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(read(damaged)).toEqual(['first'])
    }
  })

  it('takes a tail of zeros, as a crashed file system leaves it, for no record', () => {
    expect(read(Buffer.concat([file, Buffer.alloc(64)]))).toEqual(texts)
  })

  it('reads from a view into a larger buffer', () => {
    const larger = Buffer.concat([Buffer.from('xyz'), file])
    expect(read(larger.subarray(3))).toEqual(texts)
  })

  it('refuses to write an empty record', () => {
    expect(() => frameRecord(new Uint8Array(0))).toThrow(RangeError)
  })
})
