import { expect, it } from 'vitest'
import { emptyAssignment } from './empty-assignment.ts'

it.each([
  ['x', '0a0178'],
  ['ü', '0a02c3bc'],
  ['n'.repeat(127), `0a7f${'6e'.repeat(127)}`],
  ['n'.repeat(128), `0a8001${'6e'.repeat(128)}`],
  ['n'.repeat(300), `0aac02${'6e'.repeat(300)}`],
])('is a ClusterLoadAssignment that only names its cluster (%#)', (name, hex) => {
  const origin = { name: 'cart.yaml', line: 3, column: 1 }
  const assignment = emptyAssignment(name, origin)
  expect(Buffer.from(assignment.bytes).toString('hex')).toBe(hex)
  expect(assignment).toMatchObject({ name, origin, isReady: true })
})
