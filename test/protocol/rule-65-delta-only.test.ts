import { expect, test } from 'vitest'
import { openRawStream } from '../support/raw-stream.ts'
import { resource } from '../support/resource.ts'
import { accepted, client, given, playTranscript, server, step, transcript } from '../support/transcript.ts'

const ledsType = 'type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint'

for (const [name, type] of [
  ['VHDS', 'virtualHost'],
  ['LEDS', ledsType],
] as const) {
  for (const names of [[], ['r/a.example']]) {
    transcript(
      `rule 65: ${name} over SotW on ADS, with ${names.length} names, is not answered but warned of, and the stream lives`,
      'sotw',
      given(resource('virtualHost', 'r/a.example', 1), resource('listener', 'l')),
      client({ type: 'listener' }),
      accepted({ type: 'listener', resources: ['l'] }),
      client({ type, names }),
      server.silent(),
      server.warns(new RegExp(`${name}.*delta`)),
      client({ type: 'cluster' }),
      accepted({ type: 'cluster' }),
    )
  }
}

for (const path of [
  '/envoy.service.route.v3.VirtualHostDiscoveryService/StreamVirtualHosts',
  '/envoy.service.endpoint.v3.LocalityEndpointDiscoveryService/StreamLocalityEndpoints',
]) {
  test(`rule 65: ${path} is UNIMPLEMENTED`, () =>
    playTranscript(
      'sotw',
      given(),
      step('a client opens it', async (world) => {
        expect(await openRawStream(world.server.port, path).closed).toBe('UNIMPLEMENTED')
      }),
    ))
}
