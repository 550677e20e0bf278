import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { problemsOf, startControlPlane } from '../../support/control-plane.ts'
import { tempDir } from '../../support/temp.ts'
import { openStream, typeUrlOf } from '../../support/wire-client.ts'

const services = process.env['FAIRLEAD_TEST_LONG'] === '1' ? 5_000 : 1_000

const service = (name: string, port: number): string =>
  `kind: Service\nname: ${name}\nport: 80\nendpoints: {address: 10.0.0.1, port: ${port}}\n`

function write(directory: string, file: string, text: string): void {
  writeFileSync(join(directory, `.${file}`), text)
  renameSync(join(directory, `.${file}`), join(directory, file))
}

test(`one endpoint of one of ${services} Services is one resource on the wire, in delta (F57)`, async () => {
  const config = tempDir()
  const names = Array.from({ length: services }, (_, index) => `service-${index}`)
  const others = names.slice(1).map((name) => service(name, 8080))
  write(config, 'others.yaml', [...others, 'kind: Sidecar\nname: web\nnodes: {cluster: web}\n'].join('---\n'))
  write(config, 'one.yaml', service('service-0', 8080))
  const server = await startControlPlane({ config: [config] })
  await server.pipeline.ready
  expect(problemsOf(server)).toEqual([])

  const stream = openStream({ port: server.xdsPort, protocol: 'delta' })
  const asked = { cluster: ['*'], endpoint: names } as const
  for (const [type, resource_names_subscribe] of Object.entries(asked)) {
    const type_url = typeUrlOf(type)
    stream.send({ node: { id: 'web-1', cluster: 'web' }, type_url, resource_names_subscribe })
    let missing = services
    while (missing > 0) {
      const { nonce, resources } = await stream.next()
      missing -= resources.length
      stream.send({ type_url, response_nonce: nonce })
    }
  }
  const before = stream.received.length
  write(config, 'one.yaml', service('service-0', 8081))
  await stream.next()
  await stream.probe()
  const after = stream.received.slice(before)
  expect(
    after.map(({ typeUrl, resources, removed }) => ({ typeUrl, names: resources.map(({ name }) => name), removed })),
  ).toEqual([{ typeUrl: typeUrlOf('endpoint'), names: ['service-0'], removed: [] }])
})
