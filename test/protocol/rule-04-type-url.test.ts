import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { client, given, server, transcript } from '../support/transcript.ts'

const words = [
  'cluster',
  'endpoint',
  'listener',
  'route',
  'scopedRoute',
  'virtualHost',
  'secret',
  'runtime',
  'extension',
] as const

for (const protocol of protocols) {
  transcript(
    `rule 4: an empty type_url on ADS ends the stream with INVALID_ARGUMENT (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({}),
    server.ends('INVALID_ARGUMENT', /type_url/),
  )

  transcript(
    `rule 4: another type's URL on a type's own service ends the stream with INVALID_ARGUMENT (${protocol})`,
    { protocol, service: 'cluster' },
    given(resource('listener', 'a')),
    client({ type: 'listener' }),
    server.ends('INVALID_ARGUMENT', /type_url/),
  )

  for (const service of words) {
    // Rule 65: this one has no SotW method.
    if (protocol === 'sotw' && service === 'virtualHost') continue
    const given1 = given(resource(service, 'a'), resource(service, 'b'))

    transcript(
      `rule 4: on ${service}'s own service the type goes without saying (${protocol})`,
      { protocol, service },
      given1,
      client((_memory, spoken) => (spoken === 'sotw' ? { names: ['a'] } : { subscribe: ['a'] })),
      server({ type: service, resources: ['a'] }),
      client((memory, spoken) => ({
        nonce: memory.last().nonce,
        ...(spoken === 'sotw' && { version: memory.last().version, names: ['a'] }),
      })),
      server.silentToTheEnd(),
    )

    transcript(
      `rule 4: on ${service}'s own service the type may also be said (${protocol})`,
      { protocol, service },
      given1,
      client(asks(service, 'b')),
      server({ type: service, resources: ['b'] }),
      server.silentToTheEnd(),
    )
  }
}
