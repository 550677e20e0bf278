import { expect, it } from 'vitest'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import { noPlaces } from '../../config/kinds/places.ts'
import { allowedHosts, openEgress } from './allowed-hosts.ts'

const document: KindDocument = {
  key: 'm',
  origin: { name: 'm.yaml' },
  form: { kind: 'Mesh', name: 'm' },
  places: noPlaces,
}

it.each<[string, readonly (readonly [hosts: string[], ports?: number[]])[], readonly string[]]>([
  ['a host has the ports of HTTP and TLS where none are said', [[['a']]], ['a on 80,443 by 0']],
  [
    'hosts of one list stand together',
    [
      [
        ['a', '*.b'],
        [8443, 80],
      ],
    ],
    ['a *.b on 8443,80 by 0'],
  ],
  ['lists stand one after the other', [[['a']], [['b'], [1]]], ['a on 80,443 by 0', 'b on 1 by 1']],
  [
    'a host of two lists has the ports of both, once',
    [
      [['a']],
      [
        ['b', 'a'],
        [443, 1],
      ],
    ],
    ['a on 80,443,1 by 0', 'b on 443,1 by 1'],
  ],
  [
    'a host has the ports of a pattern that it is of',
    [
      [['*.a'], [1]],
      [['x.a', 'a'], [2]],
    ],
    ['*.a on 1 by 0', 'x.a on 1,2 by 1', 'a on 2 by 1'],
  ],
  [
    'a pattern has those of a wider one, and not the other way round',
    [
      [['*'], [1]],
      [['*.a'], [2]],
    ],
    ['* on 1 by 0', '*.a on 1,2 by 1'],
  ],
  [
    'a pattern within another has the ports of both, in the order of the lists',
    [
      [['x.a.b'], [1]],
      [['*.b', '*.a.b'], [2]],
      [['*.a.b', 'a.b'], [3]],
    ],
    ['x.a.b on 1,2,3 by 0', '*.b on 2 by 1', '*.a.b on 2,3 by 1', 'a.b on 2,3 by 2'],
  ],
  ['nothing is nothing', [[[]]], []],
])('%s', (_, said, expected) => {
  const lists = said.map(([hosts, ports], index) => ({
    egress: { hosts, ...(ports && { ports }) },
    from: { document, path: String(index) },
  }))
  const shown = allowedHosts(lists).map(
    ({ hosts, ports, from }) => `${hosts.join(' ')} on ${ports.join()} by ${from.path}`,
  )
  expect(shown).toEqual(expected)
})

it('a bare star is told, at its place', () => {
  const told = (hosts: string[], ports?: number[]): readonly string[] =>
    openEgress({ egress: { hosts, ...(ports && { ports }) }, from: { document, path: 'egress' } }).map(
      ({ severity, code, at, message }) => `${severity} ${code} ${at.path} ${message}`,
    )
  const open = '`*` lets requests out to every host on the ports'
  expect(told(['a', '*.b'])).toEqual([])
  expect(told(['a', '*'])).toEqual([`warning open egress.hosts[1] ${open} 80, 443, addresses too.`])
  expect(told(['*'], [9000])).toEqual([`warning open egress.hosts[0] ${open} 9000, addresses too.`])
})

it('ten thousand hosts are told together in no time that anybody notices', () => {
  const hosts = Array.from({ length: 10_000 }, (_, index) => `h${index}.a${index % 100}.example`)
  const lists = [hosts, ['*.example', ...hosts], ['*.a1.example']].map((one, index) => ({
    egress: { hosts: one, ports: [index] },
    from: { document, path: String(index) },
  }))
  const began = performance.now()
  const [first] = allowedHosts(lists)
  // Each host beside each other one would be seconds.
  expect(performance.now() - began).toBeLessThan(1000)
  expect(first).toMatchObject({ ports: [0, 1] })
})
