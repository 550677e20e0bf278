import { expect, test } from 'vitest'
import { addressOfText } from './address-text.ts'
import { durationOfText, protoDuration } from './duration-text.ts'
import { percentOfText } from './percent-text.ts'
import { sizeOfText } from './size-text.ts'

test.each<[string, string | undefined]>([
  ['500ms', '0.5s'],
  ['1m30s', '90s'],
  ['0s', '0s'],
  ['0.25s', '0.25s'],
  ['1.5h', '5400s'],
  ['1d2h3m4s5ms', '93784.005s'],
  ['0.000000001s', '0.000000001s'],
  ['', undefined],
  ['5', undefined],
  ['30s1m', undefined],
  ['-1s', undefined],
  ['1 s', undefined],
  ['1s1s', undefined],
  ['.5s', undefined],
  ['1µs', undefined],
])('the duration %s is %s', (text, expected) => {
  const nanos = durationOfText(text)
  expect(nanos === undefined ? undefined : protoDuration(nanos)).toBe(expected)
})

test.each<[string, number | undefined]>([
  ['10', 10],
  ['10%', 10],
  ['0.5%', 0.5],
  ['101%', 101],
  ['%', undefined],
  ['-1%', undefined],
  ['1 %', undefined],
])('the percentage %s is %s', (text, expected) => {
  expect(percentOfText(text)).toBe(expected)
})

test.each<[string, number | undefined]>([
  ['65536', 65_536],
  ['64KiB', 65_536],
  ['1 MiB', 1_048_576],
  ['1GiB', 1_073_741_824],
  ['1kb', undefined],
  ['1.5MiB', undefined],
  ['-1', undefined],
])('the size %s is %s', (text, expected) => {
  expect(sizeOfText(text)).toBe(expected)
})

test.each<[string, object | undefined]>([
  ['otel:4317', { host: 'otel', port: 4317 }],
  ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
  ['[::1]:80', { host: '::1', port: 80 }],
  ['::1:80', undefined],
  ['otel', undefined],
  ['otel:0', undefined],
  ['otel:65536', undefined],
  ['http://otel:80', undefined],
])('the address %s is %s', (text, expected) => {
  expect(addressOfText(text)).toEqual(expected)
})
