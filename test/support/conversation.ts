/** What many transcripts say, in either protocol. */
import { expect } from 'vitest'
import type { ResourceWord } from '../../src/resource/type-url.ts'
import type { TypeStatus } from '../../src/xds/status.ts'
import { eventually } from './poll.ts'
import { type Memory, type Says, type Step, step } from './transcript.ts'
import { type Protocol, wordOf } from './wire-client.ts'

export const protocols: readonly Protocol[] = ['sotw', 'delta']

type SaysIn = (memory: Memory, protocol: Protocol) => Says

/** Names resources, as the first request of a type does; none: the empty request, which is a legacy wildcard. */
export function asks(type: ResourceWord | (string & {}), ...names: readonly string[]): SaysIn {
  return (_memory, protocol) => {
    if (names.length === 0) return { type }
    return protocol === 'sotw' ? { type, names } : { type, subscribe: names }
  }
}

/** The verdicts that the server counted since it started, in order: `ack cluster`, `nack listener`. Say `server.silent()` before. */
export function verdicts(...expected: readonly string[]): Step {
  return step(`counted: ${expected.join(', ') || 'no verdict'}`, ({ events }) => {
    const counted = events.flatMap((event) =>
      event.kind === 'ack' || event.kind === 'nack' ? [`${event.kind} ${wordOf(event.typeUrl)}`] : [],
    )
    expect(counted).toEqual(expected)
  })
}

/** Waits until the server has taken that many requests that subscribe or unsubscribe: where nobody is answered, no probe is. */
export function requestsTaken(count: number): Step {
  return step(`the server has taken ${count} requests`, async ({ events }) => {
    await eventually(() => events.filter(({ kind }) => kind === 'request').length >= count)
  })
}

/** The status of one type, of the only client. */
export function statusOf(
  type: ResourceWord,
  check: (status: TypeStatus, memory: { last: (type: string) => string }) => void,
): Step {
  return step(`the status of ${type}`, (world) => {
    const nodes = world.server.status.nodes()
    expect(nodes).toHaveLength(1)
    const status = nodes[0]?.types[type]
    if (status === undefined) throw new Error(`no status of ${type}`)
    check(status, { last: (word) => world.client('client').last(word).version })
  })
}

export const isLong: boolean = process.env['FAIRLEAD_TEST_LONG'] === '1'
