import { describe, expect, test } from 'vitest'
import { formatOrigin } from '../../errors.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import type { ParsedDocument } from '../config-document.ts'
import { parseInstance } from './instance-document.ts'
import { kindOf } from './kind-document.ts'
import { everything } from './not-yet.ts'

const api = loadEnvoyApi()
const prefix = 'etcd:/fairlead/endpoints/'

function parse(text: string, name = 'cart/i-1'): ParsedDocument {
  const id = prefix + name
  return parseInstance(api, { id, text, origin: { name: id, revision: '7' } }, prefix, everything)
}

describe('what an instance registers', () => {
  test('is an endpoint of the service that its key names', () => {
    const { documents, problems } = parse(
      '{"address": "10.0.0.11", "port": 8080, "labels": {"version": "v1"}, "zone": "a", "weight": 3, "health": "draining"}',
    )
    expect(problems).toEqual([])
    const [document] = documents
    expect(document).toMatchObject({ key: `${prefix}cart/i-1`, selectors: [], touches: { gateways: [] } })
    expect(document && kindOf(document.resources[0] as never)?.form).toEqual({
      kind: 'Instance',
      name: 'cart/i-1',
      service: 'cart',
      endpoint: {
        address: '10.0.0.11',
        port: 8080,
        labels: { version: 'v1' },
        zone: 'a',
        weight: 3,
        health: 'draining',
      },
    })
  })

  test.each([
    ['a field that there is not', '{"address": "10.0.0.1", "prot": 80}', '1:25 unknown-field prot'],
    ['no port', '{"address": "10.0.0.1"}', '1:1 rule-violation '],
    ['a port out of range', '{"address": "10.0.0.1", "port": 70000}', '1:33 rule-violation port'],
    ['a port in quotes', '{"address": "10.0.0.1", "port": "80"}', '1:33 wrong-type port'],
    ['no JSON', '{"address"', '1:11 syntax '],
    ['no object', '"10.0.0.1:80"', '1:1 wrong-type '],
    ['nothing', '', '1:1 wrong-type '],
    ['several documents', '{"address": "a", "port": 1}\n---\n{}', '1:1 wrong-type '],
  ])('can be wrong with %s, which concerns no proxy', (_, text, said) => {
    const { documents, invalid, problems } = parse(text)
    expect(documents).toEqual([])
    expect(invalid).toMatchObject([{ key: `${prefix}cart/i-1`, touches: { gateways: [] } }])
    expect(problems.map(({ origin, code, path }) => `${origin.line}:${origin.column} ${code} ${path}`)).toContain(said)
    for (const { origin, fix } of problems) {
      expect(formatOrigin(origin)).toContain(`${prefix}cart/i-1@rev 7`)
      expect(fix).not.toBe('')
    }
  })

  test.each(['cart', 'cart/a/b', '/i-1', 'Cart/i-1', 'cart/I_1'])('cannot stand under %s', (name) => {
    const { documents, problems } = parse('{"address": "10.0.0.1", "port": 80}', name)
    expect(documents).toEqual([])
    expect(problems).toMatchObject([{ code: 'invalid-name' }])
  })

  test('has at most 4096 bytes', () => {
    const value = { address: '10.0.0.1', port: 80, labels: { x: 'y'.repeat(4096) } }
    expect(parse(JSON.stringify(value)).problems).toMatchObject([{ code: 'too-large' }])
  })
})
