import { describe, expect, test } from 'vitest'
import { SmallClient } from '../../../test/support/small-client.ts'
import { showView, smallView } from '../../../test/support/small-view.ts'

const listenersOf = (client: SmallClient): readonly string[] =>
  showView(client.view).flatMap((line) => (line.startsWith('listener ') ? [line.slice('listener '.length)] : []))

describe('a listener that comes to where another one was', () => {
  test.each<[string, readonly string[], readonly string[], readonly (readonly string[])[]]>([
    [
      'comes when that one is taken away, which comes back elsewhere when that is accepted',
      ['l=1@80'],
      ['l=1@81', 'm=1@80'],
      [['m=1@80'], ['l=1@81', 'm=1@80']],
    ],
    ['comes at once when that one goes for good', ['l=1@80'], ['m=1@80'], [['m=1@80']]],
    [
      'takes its place over another of its addresses',
      ['l=1@80@81'],
      ['l=1@81', 'm=1@80'],
      [['m=1@80'], ['l=1@81', 'm=1@80']],
    ],
    [
      'exchanges with it when both are taken away',
      ['l=1@80', 'm=1@81'],
      ['l=1@81', 'm=1@80'],
      [[], ['l=1@81', 'm=1@80']],
    ],
    [
      'is one of three that change places in a ring, and the rest stays',
      ['k=1@82', 'l=1@80', 'm=1@81', 'n=1@90'],
      ['k=1@80', 'l=1@81', 'm=1@82', 'n=1@90'],
      [['n=1@90'], ['k=1@80', 'l=1@81', 'm=1@82', 'n=1@90']],
    ],
    [
      'is the last of a chain: only it comes at once',
      ['l=1@80', 'm=1@81'],
      ['l=1@82', 'm=1@80', 'n=1@81'],
      [['n=1@81'], ['l=1@82', 'm=1@80', 'n=1@81']],
    ],
    ['moves to a free address in one step', ['l=1@80', 'm=1@90'], ['l=1@81', 'm=1@90'], [['l=1@81', 'm=1@90']]],
    ['changes some of its addresses in one step', ['l=1@80@81'], ['l=2@81@82'], [['l=2@81@82']]],
  ])('%s', (_, before, after, steps) => {
    const view = (texts: readonly string[]) => smallView(...texts.map((text) => `listener ${text}`))
    const expected = steps.map((step) => step.map((text) => `listener ${text}`))
    expect(new SmallClient(view(before)).travel(view(after))).toEqual(expected)
  })

  test('waits until the client has accepted that the other one moved', () => {
    const client = new SmallClient(smallView('listener l=1@80', 'listener n=1@90'))
    client.move(smallView('listener l=1@81', 'listener n=1@90'))
    const to = smallView('listener l=1@81', 'listener m=1@80', 'listener n=2@90')
    client.move(to)
    expect(listenersOf(client)).toEqual(['l=1@81', 'n=2@90'])
    client.ack('listener')
    client.move(to)
    expect(listenersOf(client)).toEqual(['l=1@81', 'm=1@80', 'n=2@90'])
  })

  test('leaves it where it is for as long as it must wait for a cluster itself', () => {
    const from = smallView('cluster x=1', 'listener l=1@80 > cluster x', 'listener n=1@90')
    const to = smallView(
      'cluster x=1',
      'cluster y=1',
      'listener l=1@81 > cluster x',
      'listener m=1@80 > cluster y',
      'listener n=2@90',
    )
    const client = new SmallClient(from)
    client.move(to)
    expect(listenersOf(client)).toEqual(['l=1@80', 'n=2@90'])
    client.ack('listener')
    client.move(to)
    expect(listenersOf(client)).toEqual(['l=1@80', 'n=2@90'])
    client.ack('cluster')
    client.move(to)
    expect(listenersOf(client)).toEqual(['m=1@80', 'n=2@90'])
    client.ack()
    client.move(to)
    expect(listenersOf(client)).toEqual(['l=1@81', 'm=1@80', 'n=2@90'])
  })

  test('stays away for as long as that one must wait for a cluster', () => {
    const from = smallView('cluster x=1', 'listener l=1@80 > cluster x')
    const to = smallView('cluster x=1', 'cluster y=1', 'listener l=1@81 > cluster y', 'listener m=1@80 > cluster x')
    const client = new SmallClient(from)
    client.move(to)
    expect(listenersOf(client)).toEqual(['l=1@80'])
    client.ack('cluster')
    expect(client.travel(to).map((lines) => lines.filter((line) => line.startsWith('listener')))).toEqual([
      ['listener m=1@80'],
      ['listener l=1@81', 'listener m=1@80'],
    ])
  })

  test('finds it where it was when the change is taken back', () => {
    const from = smallView('listener l=1@80')
    const client = new SmallClient(from)
    client.move(smallView('listener l=1@81', 'listener m=1@80'))
    expect(listenersOf(client)).toEqual(['m=1@80'])
    client.move(from)
    expect(listenersOf(client)).toEqual(['l=1@80'])
  })

  test('keeps what the other one names for its connections', () => {
    const client = new SmallClient(smallView('route r=1', 'listener l=1@80 > route r'))
    client.move(smallView('route q=1', 'listener l=1@81 > route q', 'listener m=1@80 > route q'))
    expect(showView(client.view)).toEqual(['listener m=1@80', 'route q=1', 'route r=1'])
  })
})
