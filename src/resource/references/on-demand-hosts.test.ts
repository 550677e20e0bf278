import { expect, test } from 'vitest'
import { resource } from '../../../test/support/resource.ts'
import { hasOnDemandHosts } from './on-demand-hosts.ts'

test('a route configuration has virtual hosts on demand exactly if it names their source', () => {
  const vhds = { config_source: { ads: {}, resource_api_version: 'V3' } }
  const virtual_hosts = [{ name: 'all', domains: ['*'] }]
  expect(hasOnDemandHosts(resource('route', 'r', { virtual_hosts, vhds }))).toBe(true)
  expect(hasOnDemandHosts(resource('route', 'r', { virtual_hosts }))).toBe(false)
})
