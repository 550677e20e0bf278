import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority } from '../support/certificates.ts'
import { runCommand } from '../support/command.ts'
import { startControlPlane, type TestControlPlane } from '../support/control-plane.ts'
import { startEtcd } from '../support/etcd.ts'
import { describeOnEtcd, type EtcdBed } from '../support/etcd-bed.ts'
import { eventually } from '../support/poll.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { tempDir } from '../support/temp.ts'
import { openStream, typeUrlOf } from '../support/wire-client.ts'

const patience = { timeoutMs: 15_000 }

const cluster = (name: string, timeout = '1s'): string =>
  `'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: ${name}\nconnect_timeout: ${timeout}\n`

const route = (
  name: string,
  to: string,
): string => `'@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: ${name}
virtual_hosts: [{name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: ${to}}}]}]
`

const broken = (name: string): string => cluster(name, 'soon')

interface Bed extends EtcdBed {
  /** Writes texts below `config/`, in one transaction; undefined deletes. */
  readonly write: (texts: Readonly<Record<string, string | undefined>>) => Promise<void>
  /** What is below `good/`. */
  readonly good: () => Promise<Record<string, string>>
  readonly start: (id: string, flags?: Readonly<Record<string, unknown>>) => Promise<TestControlPlane>
}

function bedOn(bed: EtcdBed): Bed {
  const { etcd, prefix } = bed
  return {
    ...bed,
    async write(texts) {
      const success = Object.entries(texts).map(([name, text]) => {
        const key = Buffer.from(`${prefix}config/${name}`)
        if (text === undefined) return { request_delete_range: { key } }
        return { request_put: { key, value: Buffer.from(text) } }
      })
      await etcd.client.kv.txn({ success })
    },
    async good() {
      const texts = await etcd.client.namespace(`${prefix}good/`).getAll().strings()
      return Object.fromEntries(Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1)))
    },
    async start(id, flags = {}) {
      const plane = await startControlPlane({ etcd: etcd.endpoint, etcdPrefix: prefix, replicaId: id, ...flags })
      await plane.pipeline.ready
      return plane
    },
  }
}

/** Name and version of everything that a node gets; of a type that is answered with nothing, nothing. */
async function servedTo({ xdsPort }: TestControlPlane, types = ['cluster']): Promise<Record<string, string>> {
  const stream = openStream({ port: xdsPort, protocol: 'delta' })
  const served: Record<string, string> = {}
  for (const [index, word] of types.entries()) {
    const node = index === 0 ? { node: { id: 'edge-1', cluster: 'edge' } } : {}
    stream.send({ ...node, type_url: typeUrlOf(word), resource_names_subscribe: ['*'] })
    const { resources } = await stream.next()
    for (const { name, version } of resources) served[`${word}/${name}`] = version
  }
  stream.cancel()
  return served
}

/** Names of clusters that a client which has these is sent, or told to forget, when it comes. */
async function sentAfterMove({ xdsPort }: TestControlPlane, has: Record<string, string>): Promise<readonly string[]> {
  const stream = openStream({ port: xdsPort, protocol: 'delta' })
  const versions = Object.entries(has).map(([key, version]) => [key.slice('cluster/'.length), version])
  stream.send({
    node: { id: 'edge-1', cluster: 'edge' },
    type_url: typeUrlOf('cluster'),
    resource_names_subscribe: ['*'],
    initial_resource_versions: Object.fromEntries(versions),
  })
  await stream.probe()
  const sent = stream.received.flatMap(({ resources, removed }) => [...resources.map(({ name }) => name), ...removed])
  stream.cancel()
  return sent
}

const errorsOf = ({ pipeline }: TestControlPlane): readonly string[] =>
  pipeline.problems.filter(({ severity }) => severity === 'error').map(({ code }) => code)

const hasError = async (plane: TestControlPlane): Promise<void> =>
  void (await eventually(() => errorsOf(plane).length > 0))

describeOnEtcd('the last good documents of replicas', (open) => {
  const openBed = (): Bed => bedOn(open())

  test('are served by one that starts without a history while a document is broken', async () => {
    const { write, good, start } = openBed()
    const cart = `# Why it is so.\n${cluster('cart')}`
    await write({ cart, 'shop/pay': cluster('pay') })
    const a = await start('a')
    await eventually(async () => expect(await good()).toEqual({ cart, 'shop/pay': cluster('pay') }), patience)
    await write({ cart: broken('cart'), 'shop/pay': cluster('pay', '3s') })
    await hasError(a)
    await eventually(async () => expect((await good())['shop/pay']).toBe(cluster('pay', '3s')), patience)
    expect((await good())['cart']).toBe(cart)
    const b = await start('b')
    expect(await servedTo(b)).toEqual(await servedTo(a))
    expect(Object.keys(await servedTo(b))).toEqual(['cluster/cart', 'cluster/pay'])
    expect(await sentAfterMove(b, await servedTo(a))).toEqual([])
    expect(errorsOf(b)).toEqual(errorsOf(a))
    // Mended, it is what its author wrote, and the history has had it all the time.
    const history = async (): Promise<string> =>
      await (await fetch(`${b.adminUrl}/api/snapshots/latest/documents`)).text()
    expect(await history()).toContain('Why it is so.')
    await write({ cart: cluster('cart', '9s') })
    await eventually(() => errorsOf(b).length === 0)
    expect(await servedTo(b)).toEqual(await servedTo(a))
    await eventually(async () => expect((await good())['cart']).toBe(cluster('cart', '9s')), patience)
  })

  test('serve with what they need of the documents that are right', async () => {
    const { write, good, start } = openBed()
    const before = { cluster: cluster('cart'), route: route('all', 'cart') }
    await write(before)
    const a = await start('a')
    await eventually(async () => expect(await good()).toEqual(before), patience)
    // Right by itself, and not to be had: what it names is not there.
    await write({ route: route('all', 'nobody'), other: cluster('other') })
    await hasError(a)
    const b = await start('b')
    const types = ['cluster', 'route']
    expect(await servedTo(b, types)).toEqual(await servedTo(a, types))
    expect(Object.keys(await servedTo(b, types))).toEqual(['cluster/cart', 'cluster/other', 'route/all'])
    await eventually(async () => expect(await good()).toEqual({ ...before, other: cluster('other') }), patience)
    // Deleted, and still needed.
    await write({ cluster: undefined })
    await eventually(() => a.pipeline.problems.some(({ code }) => code === 'still-needed'))
    const c = await start('c')
    expect(await servedTo(c, types)).toEqual(await servedTo(a, types))
    expect((await good())['cluster']).toBe(before.cluster)
  })

  test('say what is in force where one of several in a text is broken, and another was changed since', async () => {
    const { write, good, start } = openBed()
    await write({ both: `${cluster('one')}---\n${cluster('two')}` })
    const a = await start('a')
    await eventually(async () => expect(Object.keys(await good())).toEqual(['both']), patience)
    await write({ both: `${cluster('one', '7s')}---\n${broken('two')}` })
    await hasError(a)
    await eventually(async () => expect((await good())['both']).toContain('7s'), patience)
    await write({ both: `${broken('one')}---\n${broken('two')}` })
    await eventually(() => errorsOf(a).length === 2)
    const b = await start('b')
    expect(await servedTo(b)).toEqual(await servedTo(a))
    expect(Object.keys(await servedTo(b))).toEqual(['cluster/one', 'cluster/two'])
    expect((await good())['both']).toBe(`${cluster('one', '7s')}---\n${cluster('two')}`)
  })

  test('lose what is deleted, sensitive or not', async () => {
    const { write, good, start } = openBed()
    const { certificate, key } = await (await createAuthority()).issue({ name: 'edge' })
    const secret = JSON.stringify({
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
      name: 'edge',
      tls_certificate: { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } },
    })
    await write({ secret, cart: cluster('cart'), kept: cluster('kept') })
    const a = await start('a')
    await eventually(async () => expect(Object.keys(await good())).toEqual(['cart', 'kept', 'secret']), patience)
    expect((await good())['secret']).toBe(secret)
    await write({ secret: '{' })
    await hasError(a)
    const b = await start('b')
    expect(await servedTo(b, ['secret'])).toEqual(await servedTo(a, ['secret']))
    expect(Object.keys(await servedTo(b, ['secret']))).toEqual(['secret/edge'])
    expect(b.log()).not.toContain(key.split('\n')[1])
    await write({ secret: undefined, cart: undefined })
    await eventually(async () => expect(Object.keys(await good())).toEqual(['kept']), patience)
    expect(Object.keys(await servedTo(a))).toEqual(['cluster/kept'])
  })

  test('are none where a document was broken from the beginning: what it concerns is withheld', async () => {
    const { write, good, start } = openBed()
    await write({ cart: broken('cart'), pay: cluster('pay') })
    await start('a')
    await eventually(async () => expect(await good()).toEqual({ pay: cluster('pay') }), patience)
    const b = await start('b')
    const ready = await (await fetch(`${b.adminUrl}/ready`)).json()
    expect(ready).toMatchObject({ withheld: [{ group: 'every node' }] })
  })

  test('keep a config/ that was emptied by mistake from taking everything away, also at a new replica', async () => {
    const { write, good, start } = openBed()
    await write({ cart: cluster('cart') })
    const a = await start('a')
    await eventually(async () => expect(Object.keys(await good())).toEqual(['cart']), patience)
    await write({ cart: undefined })
    await eventually(() => errorsOf(a).includes('source-empty'))
    const b = await start('b')
    expect(errorsOf(b)).toEqual(['source-empty'])
    expect(await servedTo(b)).toEqual(await servedTo(a))
    expect(Object.keys(await servedTo(b))).toEqual(['cluster/cart'])
    const c = await start('c', { allowEmpty: true })
    expect(await servedTo(c)).toEqual({})
    expect(Object.keys(await good())).toEqual(['cart'])
  })

  test('are passed over where they are older than what the server itself served last, or cannot be read', async () => {
    const { etcd, prefix, write, good, start } = openBed()
    const snapshots = tempDir()
    await write({ cart: cluster('cart'), pay: cluster('pay') })
    const a = await start('a', { snapshots })
    await eventually(async () => expect(Object.keys(await good())).toEqual(['cart', 'pay']), patience)
    await a.close()
    // Nobody may write it for a while.
    await write({ cart: cluster('cart', '2s') })
    const again = await start('a', { snapshots, etcdReadOnly: true })
    const served = await servedTo(again)
    await again.close()
    await write({ cart: broken('cart'), pay: broken('pay') })
    await etcd.client.put(`${prefix}good/pay`).value('kind: [')
    const last = await start('a', { snapshots, etcdReadOnly: true })
    expect(await servedTo(last)).toEqual(served)
    expect(last.log()).toContain('this version cannot read what other replicas served last of a document')
  })

  test('are taken after etcd was restored from a backup, though what the server itself served last has a higher revision', {
    timeout: 60_000,
  }, async () => {
    const etcd = await startEtcd()
    const { write, good, start } = bedOn({ ...open(), etcd })
    const snapshots = tempDir()
    await write({ cart: cluster('cart'), pay: cluster('pay') })
    const a = await start('a', { snapshots })
    await eventually(async () => expect(Object.keys(await good())).toEqual(['cart', 'pay']), patience)
    const backup = join(tempDir(), 'etcd.snapshot')
    etcd.save(backup)
    // What the backup lacks.
    for (let count = 0; count < 100; count++) await etcd.client.put('/elsewhere').value('1')
    await write({ cart: cluster('cart', '5s') })
    await eventually(async () => expect((await good())['cart']).toBe(cluster('cart', '5s')), patience)
    await a.close()

    await etcd.restore(backup)
    const b = await start('b')
    await write({ cart: cluster('cart', '2s') })
    await eventually(async () => expect((await good())['cart']).toBe(cluster('cart', '2s')), patience)
    await write({ cart: broken('cart') })
    await hasError(b)
    const again = await start('a', { snapshots })
    expect(errorsOf(again)).toEqual(errorsOf(b))
    expect(await servedTo(again)).toEqual(await servedTo(b))
  })

  test('are written by who leads next, and are nothing to `put` and `rollback`', { timeout: 30_000 }, async () => {
    const { etcd, prefix, write, good, start } = openBed()
    await write({ cart: cluster('cart') })
    const a = await start('a')
    await eventually(async () => expect(await good()).toEqual({ cart: cluster('cart') }), patience)
    const b = await start('b')
    await a.close()
    await write({ cart: cluster('cart', '2s') })
    await eventually(async () => expect(await good()).toEqual({ cart: cluster('cart', '2s') }), patience)
    const to = ['--etcd', etcd.endpoint, '--etcd-prefix', prefix, '--server', b.adminUrl]
    const rollback = await runCommand(['rollback', '--previous', ...to])
    expect([rollback.code, rollback.err]).toEqual([0, ''])
    expect(await etcd.client.namespace(`${prefix}config/`).getAll().strings()).toEqual({ cart: cluster('cart') })
    await eventually(async () => expect(await good()).toEqual({ cart: cluster('cart') }), patience)
  })

  test('are taken when etcd can be read, though its own history served until then', async () => {
    const { etcd, write, good, start, prefix } = openBed()
    await write({ pay: cluster('pay') })
    const snapshots = tempDir()
    const before = await start('b', { snapshots })
    await before.close()
    await write({ cart: cluster('cart') })
    const a = await start('a')
    await eventually(async () => expect(Object.keys(await good())).toEqual(['cart', 'pay']), patience)
    await write({ cart: broken('cart') })
    await hasError(a)
    const proxy = await startTcpProxy(etcd.port)
    await proxy.cut()
    const b = await startControlPlane({
      etcd: proxy.endpoint,
      etcdPrefix: prefix,
      replicaId: 'b',
      snapshots,
    })
    await b.pipeline.ready
    expect(Object.keys(await servedTo(b))).toEqual(['cluster/pay'])
    await proxy.mend()
    await eventually(() => expect(errorsOf(b)).toEqual(errorsOf(a)), patience)
    await b.pipeline.settled()
    expect(await servedTo(b)).toEqual(await servedTo(a))
  }, 60_000)
})
