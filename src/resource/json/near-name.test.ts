import { expect, it } from 'vitest'
import { nearestName } from './near-name.ts'

const names = ['connect_timeout', 'name', 'type', 'lb_policy', 'EDS']

it.each([
  ['conect_timeout', 'connect_timeout'],
  ['connectTimeout', 'connect_timeout'],
  ['Name', 'name'],
  ['nmae', 'name'],
  ['tipe', 'type'],
  ['lb-policy', 'lb_policy'],
  ['eds', 'EDS'],
  ['qqqq', undefined],
  ['', undefined],
])('%s means %s', (name, nearest) => {
  expect(nearestName(name, names)).toBe(nearest)
})

it('takes the only name that goes on after it, where none is spelt alike', () => {
  const fields = ['protocol', 'address', 'port_value', 'named_port', 'resolver_name']
  expect(nearestName('port', fields)).toBe('port_value')
  expect(nearestName('port', ['port_value', 'port_name'])).toBeUndefined()
  expect(nearestName('port', fields, 2)).toBeUndefined()
})

it('takes the nearest of several', () => {
  expect(nearestName('clusters', ['cluster_type', 'cluster', 'clusterz'])).toBe('cluster')
})
