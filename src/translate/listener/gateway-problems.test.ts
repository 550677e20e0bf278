import { describe, expect, test } from 'vitest'
import { createAuthority, writeAuthorities, writeCertificate } from '../../../test/support/certificates.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { translated } from '../../../test/support/translated.ts'
import { formatOrigin } from '../../errors.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { messageToJson } from '../../resource/json/codec.ts'
import type { Resource } from '../../resource/resource.ts'

const api = loadEnvoyApi()
const authority = await createAuthority()
const shop = await authority.issue({ name: 'shop', sans: ['shop.example'], validForMs: 90 * 86_400_000 })

const beside = `
---
kind: Service
name: db
protocol: tcp
endpoints: {address: 10.0.0.1, port: 5432}
---
kind: Secret
name: shop
certificate: {chain: {file: shop.crt}, key: {file: shop.key}}
---
kind: Secret
name: again
certificate: {chain: {file: shop.crt}, key: {file: shop.key}}
---
kind: Secret
name: people
ca: {file: ca.pem}
`

/** What is told of some documents, and the names of the listeners that are served. */
function result(text: string): { readonly told: readonly string[]; readonly listeners: readonly string[] } {
  const { told, listeners } = served(text)
  return { told, listeners: listeners.map(({ name }) => name) }
}

function served(text: string): { readonly told: readonly string[]; readonly listeners: readonly Resource[] } {
  const directory = tempDir()
  writeCertificate(directory, 'shop', shop)
  writeAuthorities(directory, 'ca', [authority])
  const { units, problems } = translated(api, text.trimStart() + beside, 'edge.yaml', directory)
  return {
    told: problems.map(
      ({ severity, code, origin, path, message }) => `${formatOrigin(origin)} ${severity} ${path} ${code}: ${message}`,
    ),
    listeners: units.flatMap(({ resources }) => resources.filter(({ typeUrl }) => typeUrl.endsWith('.Listener'))),
  }
}

interface Chain {
  readonly name?: string
  readonly filters?: readonly unknown[]
  readonly filter_chain_match?: { readonly server_names?: readonly string[] }
}

/** The name and the hosts of each; one that has no filter is marked by a `!`. */
function chainsOf({ typeUrl, bytes }: Resource): readonly string[] {
  const json = messageToJson(api, typeUrl, bytes) as unknown as {
    readonly filter_chains: readonly Chain[]
    readonly default_filter_chain?: Chain
  }
  const textOf = ({ name = '', filters, filter_chain_match: match }: Chain): string =>
    [`${filters === undefined ? '!' : ''}${name}`, ...(match?.server_names ?? [])].join(' ')
  const { filter_chains: chains, default_filter_chain: rest } = json
  return [...chains.map(textOf), ...(rest === undefined ? [] : [`default ${textOf(rest)}`])]
}

const gateway = (listeners: string, name = 'edge', nodes = '{cluster: edge}'): string => `
kind: Gateway
name: ${name}
nodes: ${nodes}
listeners:
${listeners.trim()}
`

describe('the listeners of a Gateway', () => {
  test.each([
    [
      'that have one port',
      '- {name: a, port: 80}\n- {name: b, port: 80}',
      'edge.yaml:6:19 error listeners[1].port conflict: The listener a has the port 80 already.',
    ],
    [
      'of HTTPS that have one port and one host',
      '- {name: a, port: 443, tls: shop, hosts: [a.example, b.example]}\n- {name: b, port: 443, tls: shop, hosts: [c.example, b.example]}',
      'edge.yaml:6:54 error listeners[1].hosts[1] conflict: The listener a, on the same port, serves this host already.',
    ],
    [
      'of HTTPS that have one port, and disagree on how connections begin',
      '- {name: a, port: 443, tls: shop, hosts: a.example}\n- {name: b, port: 443, tls: shop, hosts: b.example, proxyProtocol: required}',
      'edge.yaml:6:68 error listeners[1].proxyProtocol conflict: The listener a, on the same port, says otherwise.',
    ],
    [
      'whose backends all have the weight 0',
      '- {name: a, port: 5432, protocol: tcp, backends: {service: db, weight: 0}}',
      'edge.yaml:5:50 error listeners[0].backends rule-violation: Every backend has the weight 0, so nobody takes connections.',
    ],
    [
      'that show a CA',
      '- {name: a, port: 443, tls: people}',
      'edge.yaml:5:29 error listeners[0].tls rule-violation: The Secret people holds a CA, and no certificate.',
    ],
    [
      'that check clients by a certificate',
      '- {name: a, port: 443, tls: {secret: shop, clientCa: shop}}',
      'edge.yaml:5:54 error listeners[0].tls.clientCa rule-violation: The Secret shop holds a certificate, and no CA.',
    ],
  ])('%s are refused, at the place', (_, listeners, message) => {
    const { told, listeners: served } = result(gateway(listeners))
    expect(told).toEqual([message])
    expect(served).toEqual([])
  })

  test('of which one has a certificate that no client gets are served, and it is told', () => {
    const { told, listeners } = result(gateway('- {name: a, port: 443, tls: [shop, again]}'))
    expect(listeners).toEqual(['edge/a'])
    expect(told).toEqual([
      'edge.yaml:5:36 warning listeners[0].tls[1] no-effect: No client gets the certificate of the Secret again: it has no name that is served and that none before it has.',
    ])
  })

  test('of HTTPS with hosts of their own share a port, as one listener of Envoy', () => {
    const listeners =
      '- {name: a, port: 443, tls: shop, hosts: a.example}\n- {name: b, port: 443, tls: again, hosts: b.example}'
    expect(result(gateway(listeners))).toEqual({ told: [], listeners: ['edge/a'] })
  })

  test('of two Gateways on one port are refused for nodes that are of both, and told where nobody can know', () => {
    const first = gateway('- {name: a, port: 80}', 'aaa')
    const second = (nodes: string): string => `${first}---${gateway('- {name: b, port: 80}', 'bbb', nodes)}`
    expect(result(second('{cluster: edge}'))).toEqual({
      listeners: ['aaa/a'],
      told: [
        'edge.yaml:11:19 error listeners[0].port conflict: The Gateway aaa listens on the address of the listener bbb/b already, and some node gets both.',
      ],
    })
    expect(result(second('{id: x-*}'))).toEqual({
      listeners: ['aaa/a', 'bbb/b'],
      told: [
        'edge.yaml:11:19 warning listeners[0].port conflict: The Gateway aaa listens on the address of the listener bbb/b already, and perhaps some node gets both.',
      ],
    })
    expect(result(second('{cluster: other}')).told).toEqual([])
  })
})

describe('where the files of a Secret were never right', () => {
  const lost = `---
kind: Secret
name: gone
certificate: {chain: {file: gone.crt}, key: {file: gone.key}}
---
kind: Secret
name: lost
certificate: {chain: {file: gone.crt}, key: {file: gone.key}}
---
kind: Secret
name: nobody
ca: {file: gone.pem}
`
  const told = (name: string, where: string): string =>
    `edge.yaml:${where} withheld: No client gets the certificate of the Secret ${name}: its files were never right.`

  /** What is told of the Gateway itself, and the chains of each listener that is served. */
  function withLost(listeners: string, more = ''): { readonly told: readonly string[]; readonly chains: unknown } {
    const { told: all, listeners: found } = served(gateway(listeners) + more + lost)
    return {
      told: all.filter((text) => !text.includes(' file: ')),
      chains: Object.fromEntries(found.map((one) => [one.name, chainsOf(one)])),
    }
  }

  test.each([
    ['a listener', '- {name: a, port: 443, tls: gone}', [told('gone', '5:29 warning listeners[0].tls')], {}],
    [
      'a listener with several',
      '- {name: a, port: 443, tls: [gone, lost]}\n- {name: b, port: 80}',
      [told('gone', '5:30 warning listeners[0].tls[0]'), told('lost', '5:36 warning listeners[0].tls[1]')],
      { 'edge/b': [''] },
    ],
    [
      'a listener that checks its clients',
      '- {name: a, port: 443, tls: {secret: shop, clientCa: nobody}, hosts: shop.example}',
      [
        'edge.yaml:5:54 warning listeners[0].tls.clientCa withheld: No client gets in: the files of the Secret nobody, which they are checked by, were never right.',
      ],
      {},
    ],
    [
      'the hosts that share a port',
      '- {name: a, port: 443, tls: gone, hosts: [a.example, b.example]}\n- {name: b, port: 443, tls: shop, hosts: "*.example"}',
      [told('gone', '5:29 warning listeners[0].tls')],
      { 'edge/a': ['!tls:a.example a.example b.example', 'tls:*.example *.example'] },
    ],
    [
      'the first certificate of several, and who asks for none of the others,',
      '- {name: a, port: 443, tls: [gone, shop]}',
      [told('gone', '5:30 warning listeners[0].tls[0]')],
      { 'edge/a': ['tls:shop.example shop.example'] },
    ],
    [
      'the hosts that no certificate names',
      '- {name: a, port: 443, tls: [gone, shop], hosts: [shop.example, other.example]}',
      [told('gone', '5:30 warning listeners[0].tls[0]')],
      { 'edge/a': ['!tls:other.example other.example', 'tls:shop.example shop.example'] },
    ],
    [
      'only the names of a further certificate',
      '- {name: a, port: 443, tls: [shop, gone]}',
      [told('gone', '5:36 warning listeners[0].tls[1]')],
      { 'edge/a': ['tls:shop.example shop.example', 'default tls:any'] },
    ],
  ])('%s waits alone', (_, listeners, problems, chains) => {
    expect(withLost(listeners)).toEqual({ told: problems, chains })
  })

  test('a Patch of what is left out has its place, and is told what it breaks', () => {
    const patch = (filter: string): string => `---
kind: Patch
name: more
target: {type: listener, name: edge/a}
at: {filterChain: "tls:a.example", httpFilter: ${filter}}
merge: {disabled: true}
`
    const listeners = '- {name: a, port: 443, tls: gone, hosts: a.example}\n- {name: b, port: 80}'
    const warning = told('gone', '5:29 warning listeners[0].tls')
    expect(withLost(listeners, patch('envoy.filters.http.router')).told).toEqual([warning])
    expect(withLost(listeners, patch('nothing')).told).toEqual([
      warning,
      expect.stringContaining('error at.httpFilter patch: There is no HTTP filter "nothing" there.'),
    ])
  })
})
