import { expect, test } from 'vitest'
import { createAuthority, writeAuthorities, writeCertificate } from '../support/certificates.ts'
import { startEtcd } from '../support/etcd.ts'
import { describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startServer } from '../support/server-process.ts'
import { tempDir } from '../support/temp.ts'

describeWithEtcd('a replica on an etcd with TLS, named by its address,', () => {
  test('logs nothing but JSON: no warning of Node about a library', async () => {
    const directory = tempDir()
    const authority = await createAuthority()
    const { certificate: cert, key } = writeCertificate(directory, 'etcd', await authority.issue({ name: 'etcd' }))
    const ca = writeAuthorities(directory, 'ca', [authority])
    const etcd = await startEtcd({ tls: { ca, cert, key } })
    expect(etcd.endpoint).toMatch(/^https:\/\/127\.0\.0\.1:/)
    const server = await startServer({ etcd: etcd.endpoint, etcdCa: ca, etcdCert: cert, etcdKey: key })
    await eventually(() => server.log().includes('leader of the replicas'), { timeoutMs: 15_000 })
    const lines = server.log().trim().split('\n')
    expect(lines.filter((line) => !line.startsWith('{'))).toEqual([])
  })
})
