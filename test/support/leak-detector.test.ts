import { describe, expect, test } from 'vitest'
import { createAuthority } from './certificates.ts'
import { LeakDetector } from './leak-detector.ts'

describe('LeakDetector', async () => {
  const authority = await createAuthority()
  const { certificate, key } = await authority.issue({ name: 'a' })
  const detector = new LeakDetector()
  detector.add('key', key)
  detector.add('token', 'correct horse battery staple')
  const base64 = Buffer.from(key).toString('base64')

  test.each([
    ['PEM', key, ['key']],
    ['PEM in JSON', JSON.stringify({ key }), ['key']],
    ['the middle of PEM', key.slice(90, 125), ['key']],
    ['PEM in base64', base64, ['key']],
    ['PEM in base64 behind something', Buffer.from(`x${key}`).toString('base64'), ['key']],
    ['DER in hex', Buffer.from(key.replaceAll(/-----.*\n|\n/g, ''), 'base64').toString('hex'), ['key']],
    ['a token in a sentence', 'it is "correct horse battery staple"', ['token']],
    ['a token in base64', Buffer.from('> correct horse battery staple').toString('base64'), ['token']],
    ['both', `${key} correct horse battery staple`, ['key', 'token']],
    ['the certificate of the key', certificate, []],
    ['the certificate in base64', Buffer.from(certificate).toString('base64'), []],
    ['another key', (await authority.issue({ name: 'b' })).key, []],
  ])('looks into %s', (_, text, found) => {
    expect(detector.foundIn(text)).toEqual(found)
    expect(detector.foundIn(Buffer.from(text))).toEqual(found)
  })
})
