import { setTimeout as sleep } from 'node:timers/promises'
import type { FakeXdsServer, FakeXdsStream, Message } from '../../support/fake-xds-server.ts'
import type { Protocol } from '../../support/wire-client.ts'

/** What a client said to a control plane that a script speaks for: a line for each request. */
export interface Transcript {
  readonly lines: readonly string[]
}

export interface Talker {
  readonly protocol: Protocol
  /** Answers with these resources (in their JSON form, with `@type`), and notes what the client says to it. */
  readonly answer: (
    word: string,
    version: string,
    resources: readonly Message[],
    options?: AnswerOptions,
  ) => Promise<void>
  /** Breaks the stream, and notes what the client says on the next one. */
  readonly reconnect: () => Promise<void>
}

export interface AnswerOptions {
  readonly removed?: readonly string[]
}

const words: Readonly<Record<string, string>> = {
  cluster: 'envoy.config.cluster.v3.Cluster',
  endpoint: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'envoy.config.listener.v3.Listener',
  route: 'envoy.config.route.v3.RouteConfiguration',
  secret: 'envoy.extensions.transport_sockets.tls.v3.Secret',
  runtime: 'envoy.service.runtime.v3.Runtime',
  extension: 'envoy.config.core.v3.TypedExtensionConfig',
}

/** A client that says nothing for so long has said all. */
const quietMs = 250

/** Speaks as a script says, to the client that connects to this server. */
export async function play(server: FakeXdsServer, script: (talker: Talker) => Promise<void>): Promise<Transcript> {
  const lines: string[] = []
  let stream: FakeXdsStream = await server.nextStream()
  let nonces = 0
  const note = async (title: string): Promise<void> => {
    lines.push(`-- ${title}`)
    for (let seen = -1; seen !== stream.pending.length; ) {
      seen = stream.pending.length
      await sleep(quietMs)
    }
    while (stream.pending.length > 0) lines.push(lineOf((await stream.next()) as unknown as Said))
  }
  const { protocol } = stream
  await note('connected')
  await script({
    protocol,
    async answer(word, version, bodies, { removed = [] } = {}) {
      const type_url = `type.googleapis.com/${words[word]}`
      const nonce = `n${++nonces}`
      const resources = bodies.map((body) => ({ '@type': type_url, ...body }))
      if (protocol === 'sotw') stream.send({ type_url, nonce, version_info: version, resources })
      else {
        stream.send({
          type_url,
          nonce,
          system_version_info: version,
          resources: resources.map((resource) => ({
            name: nameOf(resource),
            version,
            resource,
          })),
          removed_resources: removed,
        })
      }
      const names = [...bodies.map(nameOf), ...removed.map((name) => `-${name}`)]
      await note(`${nonce} ${word} ${version}: ${names.join(' ')}`)
    },
    async reconnect() {
      stream.fail()
      stream = await server.nextStream()
      await note('connected again')
    },
  })
  return { lines }
}

function nameOf(resource: Message): string {
  return String(resource['name'] ?? resource['cluster_name'])
}

interface Said {
  readonly type_url: string
  readonly node?: object
  readonly version_info?: string
  readonly response_nonce?: string
  readonly resource_names?: readonly string[]
  readonly resource_names_subscribe?: readonly string[]
  readonly resource_names_unsubscribe?: readonly string[]
  readonly initial_resource_versions?: Readonly<Record<string, string>>
  readonly error_detail?: { readonly code: number; readonly message: string }
}

/** In which order an Envoy lists names depends on its hash tables, but for those that came one after the other. */
const sorted = (names: readonly string[]): string => names.toSorted((a, b) => (a < b ? -1 : 1)).join(' ')

function lineOf(request: Said): string {
  const { initial_resource_versions: versions, error_detail: error } = request
  const parts = [
    Object.keys(words).find((key) => request.type_url.endsWith(words[key] as string)),
    request.node && 'with node',
    request.version_info && `version ${request.version_info}`,
    request.response_nonce && `nonce ${request.response_nonce}`,
    request.resource_names && `names ${sorted(request.resource_names)}`,
    request.resource_names_subscribe && `+ ${sorted(request.resource_names_subscribe)}`,
    request.resource_names_unsubscribe && `- ${sorted(request.resource_names_unsubscribe)}`,
    versions && `has ${sorted(Object.entries(versions).map(([name, version]) => `${name}@${version}`))}`,
    error && `error ${error.code} ${reasonOf(error.message)}`,
  ]
  return parts.filter((part) => part !== undefined).join(', ')
}

/** Without the resource that an Envoy dumps, and without its own words where a resource cannot be used. */
function reasonOf(message: string): string {
  return message.replace(/^goo\.gle\/debug[^]*\n: (?=Proto constraint)/, '').replace(/(?<=\(s\) \w+: )[^]*/, '…')
}
