import { create, toBinary } from '@bufbuild/protobuf'
import { FieldDescriptorProto_Type, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { startEchoServer } from './grpc.ts'
import { openEdge } from './open-shop.ts'
import { route, service } from './shop-documents.ts'

const said = { name: 'text', number: 1, type: FieldDescriptorProto_Type.STRING, jsonName: 'text' }

/** What shop.Echo is, for who turns JSON into its messages. */
const descriptors = Buffer.from(
  toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, {
      file: [
        {
          name: 'echo.proto',
          package: 'shop',
          syntax: 'proto3',
          messageType: [{ name: 'Said', field: [said] }],
          service: [{ name: 'Echo', method: [{ name: 'One', inputType: '.shop.Said', outputType: '.shop.Said' }] }],
        },
      ],
    }),
  ),
).toString('base64')

/** A filter of that name before the router, or behind another filter. */
function filter(name: string, place: string, config: string): string {
  const [at, how] = place === '' ? ['envoy.filters.http.router', 'insertBefore'] : [place, 'insertAfter']
  return `kind: Patch
name: ${name}
target: {type: listener, name: edge/http}
at: {httpFilter: ${at}}
${how}:
  name: ${name}
  typed_config: ${config}
`
}

const lua = (mark: string): string => `
    '@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code:
      inline_string: "function envoy_on_request(handle) handle:headers():add('x-order', '${mark}') end"`

export const extensionCases: readonly MeshCase[] = [
  {
    rows: ['F51', 'Y50'],
    name: 'filters of Envoy that a Patch adds do their work, each in its place',
    needs: ['http', 'grpc', 'filters'],
    async run(bed) {
      const app = await bed.app('one')
      const echo = await startEchoServer()
      const { proxy, port } = await openEdge(bed, {
        cart: service('cart', ['one']),
        echo: `kind: Service\nname: echo\nprotocol: grpc\nendpoints: {address: 127.0.0.1, port: ${echo.port}}\n`,
        shop: route('shop', '- {match: {path: {prefix: /shop.Echo}}, backends: echo}\n- {backends: cart}'),
        // They apply in the order of their names, wherever they are written.
        third: filter('c-third', 'b-first', lua('third')),
        second: filter('d-second', 'b-first', lua('second')),
        first: filter('b-first', '', lua('first')),
        transcoder: filter(
          'a-transcoder',
          '',
          `
    '@type': type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder
    proto_descriptor_bin: ${descriptors}
    services: [shop.Echo]
    auto_mapping: true`,
        ),
      })
      await bed.ask(port)
      expect(app.requests[0]?.headers['x-order']).toBe('first, second, third')
      const body = Buffer.from('{"text": "hello"}')
      const headers = { 'content-type': 'application/json' }
      const answer = await bed.ask(port, { method: 'POST', path: '/shop.Echo/One', headers, body })
      expect(answer.status).toBe(200)
      expect(JSON.parse(answer.body)).toEqual({ text: 'hello' })
      expect(echo.calls).toBe(1)

      await bed.write({ second: undefined })
      await eventually(async () => {
        // On a new connection: an old one is served out as it was.
        await bed.send(port, 1)
        return app.requests.at(-1)?.headers['x-order'] === 'first, third'
      })
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
]
