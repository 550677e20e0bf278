import { expect, test } from 'vitest'
import { type ResourceWord, resourceTypes } from '../../resource/type-url.ts'
import { type Blame, blame } from './blame.ts'

// The long messages are those of Envoy 1.40, word for word; only the dumps are cut.
const ringHash = 'ring hash: minimum_ring_size (100) > maximum_ring_size (10)'
const duplicateDomain = 'Only unique values for domains are permitted. Duplicate entry of domain a in route r1'
const twoWildcards = 'Only a single wildcard domain is permitted in route r1'
const invalidDuration = 'Invalid duration: Expected positive duration: goo.gle/debugproto   \nseconds: -1\n'
const timeout =
  'Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)'
const clusterDump = `goo.gle/debugstr  \nname: "zz"\ntype: STATIC\nconnect_timeout {\n}\n: ${timeout}`
const abort =
  'Proto constraint validation failed (HTTPFaultValidationError.Abort: embedded message failed validation | caused by FaultAbortValidationError.HttpStatus: value must be inside range [200, 600))'
const faultDump = `goo.gle/debugproto   \ndelay {\n  fixed_delay {\n    seconds: 1\n  }\n}\nabort {\n  http_status: 99\n}\n: ${abort}`
const emptyAddress =
  'Proto constraint validation failed (ListenerValidationError.Address: embedded message failed validation | caused by AddressValidationError.SocketAddress: embedded message failed validation)'
const listenerDump = `goo.gle/debugproto   \nname: "zz"\naddress {\n  socket_address {\n    port_value: 1\n  }\n}\nfilter_chains {\n  filters {\n    name: "envoy.filters.network.http_connection_manager"\n    typed_config {\n      [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {\n        stat_prefix: "good"\n        route_config {\n          virtual_hosts {\n            name: "good"\n            domains: "*"\n          }\n        }\n      }\n    }\n  }\n}\n: ${emptyAddress}`

test('Of a list that Envoy cut off nobody knows whether the rest was applied', () => {
  const message = `Error adding/updating cluster(s) a: no such thing, b: no such thi...(truncated)`
  const found = blame(message, {
    typeUrl: resourceTypes.cluster.typeUrl,
    sent: new Set(['a', 'b', 'c']),
    suspects: ['a', 'b', 'c'],
  })
  expect(found).toMatchObject({ kind: 'named', isRestApplied: false })
})

const named = (reasons: Readonly<Record<string, string>>, isRestApplied = false): Blame => ({
  kind: 'named',
  reasons: new Map(Object.entries(reasons)),
  isRestApplied,
})
/** Envoy lists these, and takes the rest. */
const listed = (reasons: Readonly<Record<string, string>>): Blame => named(reasons, true)
const unknown: Blame = { kind: 'unknown' }

type Row = readonly [why: string, word: ResourceWord, message: string, sent: string, expected: Blame]

test.each<Row>([
  [
    'a cluster that is not added',
    'cluster',
    `Error adding/updating cluster(s) bad: ${ringHash}`,
    'good bad more',
    listed({ bad: ringHash }),
  ],
  [
    'two of them',
    'cluster',
    `Error adding/updating cluster(s) bad-a: ${ringHash}, bad-b: Missing config source specifier in envoy::config::core::v3::ConfigSource`,
    'good bad-a bad-b ring',
    listed({
      'bad-a': ringHash,
      'bad-b': 'Missing config source specifier in envoy::config::core::v3::ConfigSource',
    }),
  ],
  [
    'an extension of a cluster that fails validation',
    'cluster',
    'Error adding/updating cluster(s) bad: goo.gle/debugstr  \nsni: "xx"\n: Proto constraint validation failed (UpstreamTlsContextValidationError.Sni: value length must be at most 255 bytes)',
    'good bad sni',
    listed({
      bad: 'Proto constraint validation failed (UpstreamTlsContextValidationError.Sni: value length must be at most 255 bytes)',
    }),
  ],
  [
    'a listener',
    'listener',
    "Error adding/updating listener(s) bad: route: unknown cluster 'nope'\n",
    'bad route good',
    listed({ bad: "route: unknown cluster 'nope'" }),
  ],
  [
    'two listeners, one with a dump',
    'listener',
    `Error adding/updating listener(s) bad-l1: route: unknown cluster 'nope'\nbad-l2: ${faultDump}\nbad-l3: malformed IP address: not-ip\n`,
    'bad-l1 bad-l2 bad-l3 good abort',
    listed({ 'bad-l1': "route: unknown cluster 'nope'", 'bad-l2': abort, 'bad-l3': 'malformed IP address: not-ip' }),
  ],
  [
    'a listener that mentions another',
    'listener',
    "Error adding/updating listener(s) dup: error adding listener: 'dup' has duplicate address '127.0.0.1:80' as existing listener good: see\n",
    'good dup',
    listed({
      dup: "error adding listener: 'dup' has duplicate address '127.0.0.1:80' as existing listener good: see",
    }),
  ],
  ['a whole cluster that fails validation', 'cluster', clusterDump, 'aa zz good', named({ zz: timeout })],
  ['a whole listener that does', 'listener', listenerDump, 'good zz', named({ zz: emptyAddress })],
  [
    'an older Envoy, that dumps behind the failure',
    'cluster',
    `${timeout}: name: "zz"\ntype: STATIC\n`,
    'aa zz good',
    named({ zz: timeout }),
  ],
  ['a response with one resource', 'route', 'missing ): (', 'r1', named({ r1: 'missing ): (' })],
  ['its only dump is of something in it', 'route', faultDump, 'r1', named({ r1: abort })],
  ['a dump of something in one of many', 'route', faultDump, 'r1 r2', unknown],
  ['a domain that is there twice', 'route', duplicateDomain, 'a r1 r2 r11', named({ r1: duplicateDomain })],
  ['two wildcards', 'route', twoWildcards, 'r0 r r1 1', named({ r1: twoWildcards })],
  ['the same of another type', 'listener', twoWildcards, 'r0 r1', { kind: 'suspected', names: ['r1'] }],
  ['a name in the words', 'route', 'r1 is odd', 'r0 r1 r2', { kind: 'suspected', names: ['r1'] }],
  ['two names in the words', 'route', 'r1 names a', 'a r1 r2 r11', { kind: 'suspected', names: ['a', 'r1'] }],
  ['names that are parts of others', 'route', 'Duplicate entry in route r1.b', 'r1 r b', unknown],
  ['all names in the words', 'route', 'r1 names a', 'a r1', unknown],
  ['no name at all', 'cluster', invalidDuration, 'a b', unknown],
  ['no name of those that were sent', 'cluster', `Error adding/updating cluster(s) other: x`, 'a b', unknown],
])('%s', (_why, word, message, sent, expected) => {
  const names = sent.split(' ')
  const { typeUrl } = resourceTypes[word]
  expect(blame(message, { typeUrl, sent: new Set(names), suspects: names })).toEqual(expected)
})

test('A name may hold commas, colons and spaces', () => {
  const [odd, tail] = ['odd, name: x', 'name']
  const message = `Error adding/updating cluster(s) ${odd}: cluster provided LB specified but cluster '${odd}' did not provide one., b:c: ${ringHash}`
  expect(
    blame(message, {
      typeUrl: resourceTypes.cluster.typeUrl,
      sent: new Set([odd, tail, 'odd', 'b:c', 'b']),
      suspects: [odd, 'b:c'],
    }),
  ).toEqual(
    listed({ [odd]: `cluster provided LB specified but cluster '${odd}' did not provide one.`, 'b:c': ringHash }),
  )
})

test('A dumped name is read as text forms write it', () => {
  const name = 'b"\\ü'
  const message = `goo.gle/debugstr  \nname: "b\\"\\\\\\303\\274"\n: ${timeout}`
  const { typeUrl } = resourceTypes.cluster
  expect(blame(message, { typeUrl, sent: new Set([name, 'b']), suspects: [name, 'b'] })).toEqual(
    named({ [name]: timeout }),
  )
})

test('What was accepted before is not the one that was new', () => {
  const { typeUrl } = resourceTypes.cluster
  expect(blame(invalidDuration, { typeUrl, sent: new Set(['a', 'b']), suspects: ['b'] })).toEqual(
    named({ b: 'Invalid duration: Expected positive duration:' }),
  )
})

test('Of a secret no more than the reason is told', () => {
  const { typeUrl } = resourceTypes.secret
  const message = 'Failed to load certificate chain from <inline>'
  expect(blame(message, { typeUrl, sent: new Set(['s']), suspects: ['s'] })).toEqual(named({ s: message }))
})

test('A message without end costs no time without end', () => {
  const message = `Error adding/updating cluster(s) ${'a, '.repeat(20_000)}`
  const names = Array.from({ length: 1000 }, (_, index) => `cluster-${index}`)
  const { typeUrl } = resourceTypes.cluster
  const started = performance.now()
  expect(blame(message, { typeUrl, sent: new Set(names), suspects: names })).toEqual(unknown)
  expect(performance.now() - started).toBeLessThan(1000)
})
