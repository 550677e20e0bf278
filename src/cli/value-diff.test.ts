import { expect, test } from 'vitest'
import { diffValues } from './value-diff.ts'

test.each<[string, unknown, unknown, readonly object[]]>([
  ['nothing', { a: [1] }, { a: [1] }, []],
  ['a value', { a: { b: 1 } }, { a: { b: 2 } }, [{ path: 'a.b', before: 1, after: 2 }]],
  ['a new key', {}, { a: { b: 1 } }, [{ path: 'a', after: { b: 1 } }]],
  ['a key that is gone', { a: 1 }, {}, [{ path: 'a', before: 1 }]],
  ['another type', { a: 1 }, { a: [1] }, [{ path: 'a', before: 1, after: [1] }]],
  ['the whole', 1, 2, [{ path: '', before: 1, after: 2 }]],
  [
    'a member with a name, whatever stands before it',
    { hosts: [{ name: 'x', n: 1 }] },
    { hosts: [{ name: 'new' }, { name: 'x', n: 2 }] },
    [
      { path: 'hosts[x].n', before: 1, after: 2 },
      { path: 'hosts[new]', after: { name: 'new' } },
    ],
  ],
  [
    'the order of members with names',
    { hosts: [{ name: 'x' }, { name: 'y' }] },
    { hosts: [{ name: 'y' }, { name: 'x' }] },
    [{ path: 'hosts (order)', before: ['x', 'y'], after: ['y', 'x'] }],
  ],
  ['a member in front', { a: ['x', 'y'] }, { a: ['new', 'x', 'y'] }, [{ path: 'a[0]', after: 'new' }]],
  ['a member in the middle', { a: ['x', 'y'] }, { a: ['x', 'new', 'y'] }, [{ path: 'a[1]', after: 'new' }]],
  ['a member that is gone', { a: ['x', 'y', 'z'] }, { a: ['x', 'z'] }, [{ path: 'a[1]', before: 'y' }]],
  [
    'a member that changed',
    { a: [{ n: 1 }, { n: 2 }] },
    { a: [{ n: 1 }, { n: 3 }] },
    [{ path: 'a[1].n', before: 2, after: 3 }],
  ],
  ['an emptied list', { a: ['x'] }, { a: [] }, [{ path: 'a[0]', before: 'x' }]],
  [
    'names that two members share',
    { a: [{ name: 'x' }, { name: 'x', n: 1 }] },
    { a: [{ name: 'x' }, { name: 'x', n: 2 }] },
    [{ path: 'a[1].n', before: 1, after: 2 }],
  ],
])('%s', (_, before, after, expected) => {
  expect(diffValues(before, after)).toEqual(expected)
})
