import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { Server } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import {
  type Certificate,
  createAuthority,
  writeAuthorities,
  writeCertificate,
} from '../../test/support/certificates.ts'
import { tempDir } from '../../test/support/temp.ts'
import { silentLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { createTlsCredentials, type TlsCredentials, type TlsFiles } from './tls.ts'

async function serve(files: TlsFiles): Promise<{ port: number; tls: TlsCredentials }> {
  // So long that only `reload` reads the files.
  const tls = createTlsCredentials(files, { log: silentLog, pollMs: 1_000_000 })
  const server = new Server()
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', tls.credentials, (error, bound) => (error ? reject(error) : resolve(bound)))
  })
  atTestEnd(() => {
    tls.close()
    server.forceShutdown()
  })
  return { port, tls }
}

/** The serial number of the certificate that the server shows to one whom it lets in. @throws Error where it does not */
async function visit(port: number, ca: string, own?: Certificate): Promise<string> {
  const client = own && { cert: own.certificate, key: own.key }
  const socket = connect({ port, host: '127.0.0.1', ca, ALPNProtocols: ['h2'], ...client })
  try {
    // A server of TLS 1.3 looks at the client's certificate after the client is done: its first bytes are HTTP/2 settings.
    const [bytes] = (await Promise.race([once(socket, 'data'), once(socket, 'close')])) as [unknown]
    if (!(bytes instanceof Buffer)) throw new Error('closed')
    return socket.getPeerCertificate().serialNumber.toLowerCase()
  } finally {
    socket.destroy()
  }
}

describe('a TLS server that follows its files', () => {
  test('shows the renewed certificate to new connections, and leaves a torn pair alone', async () => {
    const authority = await createAuthority()
    const dir = tempDir()
    const [first, second, third] = [
      await authority.issue({ name: 'first' }),
      await authority.issue({ name: 'second' }),
      await authority.issue({ name: 'third' }),
    ]
    const { certificate: cert, key } = writeCertificate(dir, 'server', first)
    const { port, tls } = await serve({ cert, key })
    const ca = authority.certificate
    expect(await visit(port, ca)).toBe(first.serialNumber)

    writeCertificate(dir, 'server', second)
    tls.reload()
    expect(await visit(port, ca)).toBe(second.serialNumber)

    writeFileSync(cert, third.certificate)
    tls.reload()
    expect(await visit(port, ca)).toBe(second.serialNumber)
    writeFileSync(key, third.key)
    tls.reload()
    expect(await visit(port, ca)).toBe(third.serialNumber)
  })

  test('lets in only who has a certificate of the client authorities of the moment', async () => {
    const [authority, old, next] = [
      await createAuthority(),
      await createAuthority('old CA'),
      await createAuthority('next CA'),
    ]
    const dir = tempDir()
    const { certificate: cert, key } = writeCertificate(dir, 'server', await authority.issue({ name: 'server' }))
    const clientCa = writeAuthorities(dir, 'clients', [old])
    const { port, tls } = await serve({ cert, key, clientCa })
    const ca = authority.certificate
    const [ofOld, ofNext] = [await old.issue({ name: 'a' }), await next.issue({ name: 'b' })]
    await expect(visit(port, ca, ofOld)).resolves.toMatch(/^[0-9a-f]+$/)
    await expect(visit(port, ca, ofNext)).rejects.toThrow()
    await expect(visit(port, ca)).rejects.toThrow()

    writeAuthorities(dir, 'clients', [next])
    tls.reload()
    await expect(visit(port, ca, ofNext)).resolves.toMatch(/^[0-9a-f]+$/)
    await expect(visit(port, ca, ofOld)).rejects.toThrow()
  })

  test('tells when the certificate that it shows ends', async () => {
    const authority = await createAuthority()
    const dir = tempDir()
    const dayMs = 86_400_000
    const write = async (days: number) =>
      writeCertificate(dir, 'server', await authority.issue({ name: 'server', validForMs: days * dayMs }))
    const { certificate: cert, key } = await write(2)
    const metrics = createMetrics()
    const tls = createTlsCredentials({ cert, key }, { log: silentLog, metrics, pollMs: 1_000_000 })
    atTestEnd(() => tls.close())
    const daysLeft = async (): Promise<number> => {
      const metric = await metrics.registry.getSingleMetric('fairlead_certificate_expiry_timestamp_seconds')?.get()
      return Math.round((Number(metric?.values[0]?.value) * 1000 - Date.now()) / dayMs)
    }
    expect(await daysLeft()).toBe(2)
    await write(9)
    tls.reload()
    expect(await daysLeft()).toBe(9)
  })
})
