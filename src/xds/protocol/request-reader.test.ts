import jspb from 'google-protobuf'
import { expect, test } from 'vitest'
import { setOfResources } from '../../snapshot/resource-set.ts'
import type { Protocol } from '../stream-event.ts'
import { receiveDelta } from './delta.ts'
import { type Request, RequestReader } from './request-reader.ts'
import { type EmptyListRule, type Received, receiveSotw } from './sotw.ts'
import { newSubscription, noteSent, type Subscription } from './subscription.ts'

const typeUrl = 'type.googleapis.com/test.Type'
const rule: EmptyListRule = { isWildcardWhenEmpty: true }
const none = { writtenNames: (): Uint8Array[] => [] }

interface Said {
  readonly names?: readonly string[]
  readonly nonce?: string
  readonly error?: string
  readonly node?: string
}

function encode(protocol: Protocol, { names = [], nonce = '', error, node }: Said): Buffer {
  const [nodeField, typeField, nonceField, errorField] = protocol === 'sotw' ? [2, 4, 5, 6] : [1, 2, 6, 7]
  const writer = new jspb.BinaryWriter()
  const text = (field: number, value: string): void => {
    writer.writeMessage(field, value, (inner, to) => to.writeString(2, inner))
  }
  if (node !== undefined) text(nodeField as number, node)
  writer.writeString(typeField as number, typeUrl)
  writer.writeRepeatedString(3, [...names])
  if (nonce !== '') writer.writeString(nonceField as number, nonce)
  if (error !== undefined) text(errorField as number, error)
  return Buffer.from(writer.getResultBuffer())
}

const without = (protocol: Protocol, before: Subscription | undefined, request: Request): Received =>
  protocol === 'sotw' && 'nameBytes' in request
    ? receiveSotw(before, request, rule)
    : receiveDelta(before, request as Exclude<Request, { nameBytes: Uint8Array }>, rule)

test.each(['sotw', 'delta'] as const)(
  'Equal requests to equal subscriptions are read and taken once (%s)',
  (protocol) => {
    const reader = new RequestReader(protocol)
    const first = reader.read(encode(protocol, { names: ['a'] }), none)
    const again = reader.read(encode(protocol, { names: ['a'] }), none)
    expect(again).toBe(first)
    const received = first.receive(typeUrl, undefined, rule)
    expect(again.receive(typeUrl, undefined, rule)).toBe(received)
    const other = again.receive(typeUrl, newSubscription(typeUrl), rule)
    expect(other).not.toBe(received)
    expect(again.receive(typeUrl, undefined, { isWildcardWhenEmpty: false })).not.toBe(other)
  },
)

test('One that names its node is nobody else’s, and is not kept', () => {
  const reader = new RequestReader('sotw')
  const bytes = encode('sotw', { node: 'edge-1' })
  expect(reader.read(bytes, none)).not.toBe(reader.read(bytes, none))
})

test('A request of a per-type service is of the type of its service', () => {
  const writer = new jspb.BinaryWriter()
  writer.writeRepeatedString(3, ['a'])
  const read = new RequestReader('sotw').read(Buffer.from(writer.getResultBuffer()), none)
  expect(read.request.typeUrl).toBe('')
  expect(read.receive('one', undefined, rule).subscription.typeUrl).toBe('one')
  expect(read.receive('other', undefined, rule).subscription.typeUrl).toBe('other')
})

test('What comes after the bytes of a request may change them', () => {
  const reader = new RequestReader('delta')
  const bytes = encode('delta', { names: ['a'] })
  const { request } = reader.read(bytes, none)
  bytes.fill(0)
  expect(request).toMatchObject({ typeUrl, subscribe: ['a'] })
  expect(reader.read(encode('delta', { names: ['a'] }), none).request).toBe(request)
})

test.each(['sotw', 'delta'] as const)(
  'A fleet that shares requests and subscriptions ends where each client would by itself (%s)',
  (protocol) => {
    let seed = 1
    const random = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    const sets = ['', 'x', 'y'].map(() => setOfResources(typeUrl, []))
    const reader = new RequestReader(protocol)
    type State = { shared: Subscription | undefined; own: Subscription | undefined }
    const clients: State[] = Array.from({ length: 8 }, () => ({ shared: undefined, own: undefined }))
    for (let nonce = 1; nonce <= 400; nonce++) {
      const said: Said = {
        names: [[], ['a'], ['a', 'b'], ['*']][random(4)] as string[],
        nonce: random(3) === 0 ? '' : String(nonce - random(2)),
        ...(random(6) === 0 && { error: 'no' }),
      }
      const set = sets[random(3)] as (typeof sets)[0]
      for (const client of clients) {
        if (random(5) === 0) continue
        const bytes = encode(protocol, said)
        client.shared = reader.read(bytes, none).receive(typeUrl, client.shared, rule).subscription
        client.own = without(protocol, client.own, new RequestReader(protocol).read(bytes, none).request).subscription
        expect(client.shared).toEqual(client.own)
        const sent = {
          nonce: String(nonce + 1),
          set,
          isComplete: true,
          lastPart: String(nonce + 1),
          owed: 'all',
          atMs: 0,
        } as const
        if (random(2) === 0) continue
        client.shared = noteSent(client.shared, sent)
        client.own = noteSent(client.own, sent)
      }
    }
  },
)
