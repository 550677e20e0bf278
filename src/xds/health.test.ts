import { Server } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { healthOf, listenGrpc } from '../../test/support/grpc-health.ts'
import { createHealthServices } from './health.ts'

test('a server that drains is not serving, whatever comes to be served meanwhile', async () => {
  const services = createHealthServices([])
  const server = new Server()
  services.addTo(server)
  const health = healthOf(`127.0.0.1:${await listenGrpc(server)}`)
  expect(await health()).toBe('NOT_SERVING')
  services.serve()
  expect(await health()).toBe('SERVING')
  services.drain()
  expect(await health()).toBe('NOT_SERVING')
  services.serve()
  expect(await health()).toBe('NOT_SERVING')
})
