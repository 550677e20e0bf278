import { describe, expect, it } from 'vitest'
import { createManualDiscovery, type ManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { createStatStore } from '../stats/create-stat-store.ts'
import type { StatStore } from '../stats/stat-store.ts'
import { createSecrets } from './create-secrets.ts'
import type { SecretReference, Secrets } from './secrets.ts'

const source = { initialFetchTimeoutMs: 7 }

const certificateOf = (name: string, chain: string): JsonObject => ({
  name,
  tls_certificate: { certificate_chain: { inline_string: chain }, private_key: { inline_string: 'key' } },
})

interface Bed {
  readonly discovery: ManualDiscovery
  readonly stats: StatStore
  readonly secrets: Secrets
  readonly seen: string[]
  readonly watch: (reference: SecretReference) => { cancel(): void }
}

function start(statics: readonly JsonObject[] = []): Bed {
  const discovery = createManualDiscovery()
  const stats = createStatStore()
  const secrets = createSecrets({ discovery, stats, secrets: statics })
  const seen: string[] = []
  const watch = (reference: SecretReference): { cancel(): void } =>
    secrets.watchCertificate(reference, {
      onSecret: ({ chain }) => seen.push(String(chain)),
      onMissing: () => seen.push('missing'),
    })
  return { discovery, stats, secrets, seen, watch }
}

describe('a secret', () => {
  it('of the bootstrap is given once the watch is there, unless it is over by then', async () => {
    const { secrets, watch, seen } = start([certificateOf('own', 'a')])
    expect([secrets.isStatic('own'), secrets.isStatic('other')]).toEqual([true, false])
    watch({ name: 'own', source: undefined })
    watch({ name: 'own', source: undefined }).cancel()
    watch({ name: 'other', source: undefined })
    expect(seen).toEqual([])
    await Promise.resolve()
    expect(seen).toEqual(['a', 'missing'])
  })

  it('of the control plane comes, becomes another, and is asked for as long as its source says', () => {
    const { discovery, watch, seen, stats } = start()
    const watching = watch({ name: 'told', source })
    expect(discovery.optionsOf('secret', 'told')).toMatchObject(source)
    discovery.send('secret', 'told', certificateOf('told', 'a'))
    discovery.send('secret', 'told', certificateOf('told', 'b'))
    discovery.sayMissing('secret', 'told')
    expect(seen).toEqual(['a', 'b', 'missing'])
    discovery.optionsOf('secret', 'told')?.stats?.counter('update_success').add()
    expect(stats.counters.get('sds.told.update_success')?.value).toBe(1)
    watching.cancel()
    expect(discovery.asked).toEqual([])
    expect(stats.counters.size).toBe(0)
  })

  it('is refused where it is of another kind than is wanted, or of none that this proxy knows', () => {
    const { discovery, watch, seen } = start()
    watch({ name: 'told', source })
    const send = (content: JsonObject) => () => discovery.send('secret', 'told', content)
    expect(send({ name: 'told', validation_context: {} })).toThrow(
      new ConfigRejection('secret told holds no TLS certificate'),
    )
    expect(send({ name: 'told', generic_secret: {} })).toThrow('generic_secret: the reference proxy does not know')
    expect(seen).toEqual([])
  })
})
