import type { JsonObject } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import type { Resource } from '../../src/resource/resource.ts'
import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, playTranscript } from '../support/transcript.ts'
import type { Protocol, WireResponse } from '../support/wire-client.ts'

const metadata = ['x', 'y', 'z', 'q'].map((key): [string, JsonObject] => [key, { [`${key}1`]: 1, [`${key}2`]: [true] }])
const shuffled = [2, 0, 3, 1].map((index) => metadata[index] as [string, JsonObject])

function clusterWith(name: string, entries: readonly (readonly [string, JsonObject])[], isReversed: boolean): Resource {
  const fields: [string, JsonObject | string][] = [
    ['connect_timeout', '1s'],
    ['metadata', { filter_metadata: Object.fromEntries(entries) }],
    ['typed_extension_protocol_options', optionsOf(entries.map(([key]) => key))],
  ]
  return resource('cluster', name, Object.fromEntries(isReversed ? fields.reverse() : fields))
}

function optionsOf(keys: readonly string[]): JsonObject {
  const any = (key: string): JsonObject => ({ '@type': 'type.googleapis.com/google.protobuf.StringValue', value: key })
  return Object.fromEntries(keys.map((key) => [key, any(key)]))
}

/** What a server says that learned of these resources in this order, one after the other. */
async function answerOf(protocol: Protocol, resources: readonly Resource[]): Promise<WireResponse> {
  let answer: WireResponse | undefined
  await playTranscript(
    protocol,
    given(),
    ...resources.map((one) => apply(one)),
    client(asks('cluster')),
    accepted({
      type: 'cluster',
      resources: resources.map(({ name }) => name),
      where: (response) => {
        answer = response
      },
    }),
  )
  if (answer === undefined) throw new Error('there was no answer')
  return answer
}

for (const protocol of protocols) {
  test(`rule 39: shuffled input has identical bytes, order and versions (${protocol})`, async () => {
    const names = ['a', 'b', 'c', 'd']
    const one = await answerOf(
      protocol,
      names.map((name) => clusterWith(name, metadata, false)),
    )
    const other = await answerOf(
      protocol,
      [...names].reverse().map((name) => clusterWith(name, shuffled, true)),
    )
    expect(other.resources).toEqual(one.resources)
    expect(other.version).toBe(one.version)
  })

  test(`rule 39: other content has other bytes and another version (${protocol})`, async () => {
    const one = await answerOf(protocol, [clusterWith('a', metadata, false)])
    const other = await answerOf(protocol, [clusterWith('a', metadata.slice(1), false)])
    expect(other.resources).not.toEqual(one.resources)
    expect(other.version).not.toBe(one.version)
  })
}
