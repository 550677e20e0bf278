import { createFileRegistry } from '@bufbuild/protobuf'
import { expect, it } from 'vitest'
import { type EnvoyApi, loadEnvoyApi } from './envoy-api.ts'
import { decodeOwn, encodeOwn } from './own-message.ts'

const api = loadEnvoyApi()

it('reads back what it wrote, with oneofs, maps, lists and 64-bit floats', () => {
  const record = {
    record: {
      case: 'revision',
      value: {
        number: 7,
        time: '2024-01-01T00:00:00.000Z',
        meta: { a: '1' },
        removed: ['x', 'y'],
        counts: [{ word: 'cluster', added: 3 }],
      },
    },
  }
  const bytes = encodeOwn(api, 'fairlead.v1.HistoryRecord', record)
  expect(decodeOwn(api, 'fairlead.v1.HistoryRecord', bytes)).toMatchObject(record)
})

it('keeps an optional zero apart from an absent field', () => {
  const read = (message: Record<string, unknown>): object =>
    decodeOwn(api, 'fairlead.v1.HistoryResource', encodeOwn(api, 'fairlead.v1.HistoryResource', message))
  expect(read({ ttlMs: 0 })).toHaveProperty('ttlMs', 0)
  expect(Object.hasOwn(read({}), 'ttlMs')).toBe(false)
})

it('says what to do when the descriptors hold no message of ours', () => {
  const foreign: EnvoyApi = { label: 'api.binpb', registry: createFileRegistry(), files: api.files }
  expect(() => encodeOwn(foreign, 'fairlead.v1.HistoryRecord', {})).toThrow(/api\.binpb.*import them again/)
})

it('refuses bytes that are no message', () => {
  expect(() => decodeOwn(api, 'fairlead.v1.HistoryRecord', Uint8Array.of(0x0a, 0x7f))).toThrow()
})
