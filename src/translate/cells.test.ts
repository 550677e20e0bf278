import { describe, expect, it } from 'vitest'
import { Cells, type Rule } from './cells.ts'

/** Counts letters of texts, and sums the counts of those who name a sum: `sum of` is an index. */
function bed() {
  const asked: string[] = []
  const length: Rule<number> = {
    name: 'length',
    level: 1,
    compute(read, key) {
      asked.push(`length ${key}`)
      return ((read.input('text', key) as string | undefined) ?? '').length
    },
    isSame: (a, b) => a === b,
  }
  const member: Rule<string> = {
    name: 'member',
    level: 1,
    compute: (read, key) => (read.input('sum of', key) as string | undefined) ?? '',
    isSame: (a, b) => a === b,
    facts: (sum) => (sum === '' ? [] : [['members', sum] as const]),
  }
  const sum: Rule<number> = {
    name: 'sum',
    level: 2,
    compute(read, key) {
      asked.push(`sum ${key}`)
      read.external('bonus', key)
      return read.members('members', key).reduce((total, one) => total + read.get(length, one), bonus.value)
    },
    isSame: (a, b) => a === b,
  }
  const bonus = { value: 0 }
  const cells = new Cells()
  const change = (make: () => void): string[] => {
    asked.length = 0
    make()
    return cells.update().map(({ rule, key }) => `${rule.name} ${key}`)
  }
  change(() => {
    for (const [key, text] of Object.entries({ a: 'x', b: 'yy', c: 'zzz' })) {
      cells.set('text', key, text)
      cells.set('sum of', key, key === 'c' ? 'other' : 'all')
      cells.keep(member, key)
    }
    cells.keep(sum, 'all')
    cells.keep(sum, 'other')
  })
  return { cells, change, asked, bonus, length, member, sum }
}

describe('a value', () => {
  it('follows from what its rule reads, by key and by index', () => {
    const { cells, sum } = bed()
    expect([cells.value(sum, 'all'), cells.value(sum, 'other')]).toEqual([3, 3])
  })

  it('is asked again when something that it read is another, and nothing else is', () => {
    const { cells, change, asked, sum } = bed()
    expect(change(() => cells.set('text', 'a', 'xxxx'))).toEqual(['length a', 'sum all'])
    expect(asked).toEqual(['length a', 'sum all'])
    expect(cells.value(sum, 'all')).toBe(6)
  })

  it('ends the matter where it is the same as before', () => {
    const { cells, change, asked } = bed()
    expect(change(() => cells.set('text', 'a', 'u'))).toEqual([])
    expect(asked).toEqual(['length a'])
  })

  it('follows who joins an index, and who leaves it', () => {
    const { cells, change, sum, member } = bed()
    change(() => cells.set('sum of', 'c', 'all'))
    expect([cells.value(sum, 'all'), cells.value(sum, 'other')]).toEqual([6, 0])
    change(() => {
      cells.drop(member, 'b')
      cells.set('sum of', 'b', undefined)
    })
    expect(cells.value(sum, 'all')).toBe(4)
  })

  it('follows what lies outside when that is told', () => {
    const { cells, change, sum, bonus } = bed()
    bonus.value = 10
    expect(change(() => cells.touch('bonus', 'all'))).toEqual(['sum all'])
    expect(cells.value(sum, 'all')).toBe(13)
  })

  it('is forgotten when nobody reads it any more', () => {
    const { cells, change, length, sum } = bed()
    expect(cells.value(length, 'a')).toBe(1)
    change(() => cells.drop(sum, 'all'))
    expect([cells.value(sum, 'all'), cells.value(length, 'a'), cells.value(length, 'c')]).toEqual([
      undefined,
      undefined,
      3,
    ])
  })

  it('tells what it follows from in the end, also what is not there', () => {
    const { cells, change, sum } = bed()
    expect([...cells.sourcesOf(sum, 'other')].sort()).toEqual([
      'bonus\0other',
      'members\0other',
      'sum of\0c',
      'text\0c',
    ])
    change(() => cells.set('text', 'c', undefined))
    expect(cells.sourcesOf(sum, 'other').has('text\0c')).toBe(true)
  })

  it.each<[string, (cells: Cells, rule: Rule<string>) => void]>([
    ['went', (cells, member) => cells.drop(member, 'c')],
    ['moved on', (cells) => cells.set('sum of', 'c', 'all')],
  ])('follows, until that is agreed to, also from who %s from an index', (_, edit) => {
    const { cells, change, sum, member } = bed()
    cells.commit()
    change(() => edit(cells, member))
    expect(cells.sourcesOf(sum, 'other').has('sum of\0c')).toBe(true)
    cells.commit()
    expect(cells.sourcesOf(sum, 'other').has('sum of\0c')).toBe(false)
  })
})

it('takes back everything since the last commit', () => {
  const { cells, change, sum, member, length } = bed()
  cells.commit()
  change(() => {
    cells.set('text', 'a', 'xxxx')
    cells.set('sum of', 'c', 'all')
    cells.drop(member, 'b')
    cells.drop(sum, 'other')
    cells.set('text', 'd', 'd')
    cells.keep(length, 'd')
  })
  cells.rollback()
  expect([cells.value(sum, 'all'), cells.value(sum, 'other'), cells.value(length, 'd')]).toEqual([3, 3, undefined])
  expect(change(() => cells.set('text', 'c', 'z'))).toEqual(['length c', 'sum other'])
  expect(change(() => cells.set('text', 'b', ''))).toEqual(['length b', 'sum all'])
  expect([cells.value(sum, 'all'), cells.value(sum, 'other')]).toEqual([1, 1])
})

it('refuses a rule that reads what is not below it', () => {
  const { cells, length } = bed()
  const wrong: Rule<number> = {
    name: 'wrong',
    level: 1,
    compute: (read, key) => read.get(length, key),
    isSame: (a, b) => a === b,
  }
  cells.keep(wrong, 'a')
  expect(() => cells.update()).toThrow('the rule wrong reads length, which is not below it')
})
