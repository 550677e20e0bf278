import { expect, test } from 'vitest'
import { startBackend } from './backend.ts'
import { createAuthority } from './certificates.ts'
import { startLoad } from './load.ts'

test('every answer is counted, by the backend that gave it, at the rate asked for', async () => {
  const backend = await startBackend({ name: 'cart' })
  const began = performance.now()
  const load = startLoad({ port: backend.port, rate: 400 })
  await load.next(200, { from: 'cart' })
  const seconds = (performance.now() - began) / 1000
  const report = await load.stop()
  expect(report).toMatchObject({ failed: 0, failures: [], byBackend: { cart: report.ok } })
  expect(report.sent).toBe(report.ok)
  expect(backend.requests).toBe(report.sent)
  expect(200 / seconds).toBeLessThan(450)
})

test('failures are counted and shown: a status, a refused connection, a late answer', async () => {
  let status = 503
  const backend = await startBackend({ name: 'cart', status: () => status })
  // So few that a busy machine does not fill the report with the first of them.
  const load = startLoad({ port: backend.port, rate: 20 })
  await load.next(5)
  status = 200
  await load.next(5)
  await backend.close()
  while (!load.report().failures.some(({ reason }) => /ECONNREFUSED|ECONNRESET/.test(reason))) await load.next(1)
  const report = await load.stop()
  expect(report.failures[0]?.reason).toMatch(/^503 \{"backend":"cart"/)
  expect(report.ok + report.failed).toBe(report.sent)

  const slow = await startBackend({ name: 'slow', delayMs: 500 })
  const impatient = startLoad({ port: slow.port, rate: 50, timeoutMs: 50 })
  await impatient.next(3)
  expect((await impatient.stop()).failures[0]?.reason).toBe('timeout: no answer in 50 ms')
})

test('a wait for answers that do not come says what came instead', async () => {
  const backend = await startBackend({ name: 'cart' })
  const load = startLoad({ port: backend.port })
  await load.next(1)
  await expect(load.next(5, { from: 'basket', timeoutMs: 100 })).rejects.toThrow(
    /5 of 5 answers from basket missing.*cart/,
  )
})

test('over mutual TLS, and with a certificate that is over, which fails', async () => {
  const authority = await createAuthority()
  const own = await authority.issue({ name: 'client' })
  const tls = { ca: authority.certificate, certificate: own.certificate, key: own.key }
  const start = async (validForMs: number): Promise<number> => {
    const certificate = await authority.issue({ name: 'server', sans: ['localhost'], validForMs })
    return (await startBackend({ name: 'tls', tls: { ...certificate, clientCa: authority.certificate } })).port
  }
  // Each is a handshake with two certificates, of which this process does both sides.
  const rate = { rate: 20 }
  const good = startLoad({ port: await start(60_000), host: 'shop.example', connections: 0, tls, ...rate })
  await good.next(5, { from: 'tls' })
  expect((await good.stop()).failed).toBe(0)
  const over = startLoad({ port: await start(-1), tls, ...rate })
  await over.next(3)
  expect((await over.stop()).failures[0]?.reason).toContain('CERT_HAS_EXPIRED')
})
