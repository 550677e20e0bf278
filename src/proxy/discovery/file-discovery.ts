import { readFileSync } from 'node:fs'
import { messageOf } from '../../errors.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import type { ConfigSourceConfig } from '../config/config-source.ts'
import { readMessageText } from '../config/message-text.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { CollectionTopic } from './collection-topic.ts'
import { contentOf } from './content.ts'
import type { AdsDiscovery } from './create-discovery.ts'
import type { NamedType, WildcardType } from './discovery.ts'
import type { NamedTopic } from './named-topic.ts'
import { noTalk } from './no-talk.ts'
import { delivered } from './refusal.ts'
import type { Arrival, Topic, TopicOwner } from './topic.ts'
import { createCollection, createNamed } from './topics.ts'
import { watchFile } from './watched-file.ts'

export interface FileDiscoveryOptions {
  readonly context: ProxyContext
  /** For all that is not in a file. */
  readonly ads: AdsDiscovery
  readonly clusters: ConfigSourceConfig | undefined
  readonly listeners: ConfigSourceConfig | undefined
}

/** One file with resources of one type, which is read again whenever another one is moved to its place. */
interface FileSubject {
  readonly type: WildcardType | NamedType
  readonly topic: Topic
  readonly close: () => void
  /** Behind the watch that is being made. */
  readonly readSoon: () => void
}

/** Discovery by files (`path_config_source`) for whatever names one, and by the stream for all else. */
export function createFileDiscovery({ context, ads, clusters, listeners }: FileDiscoveryOptions): AdsDiscovery {
  const files = new Map<string, FileSubject>()
  const { clock, log, stats } = context
  const owner: TopicOwner = { clock, log, onDue: () => undefined }

  function fileOf(type: FileSubject['type'], path: string, directory: string | undefined, create: () => Topic): Topic {
    const key = `${type} ${path}`
    const known = files.get(key)
    if (known !== undefined) {
      // A newcomer hears what is there with the rest; who has it already hears nothing.
      known.readSoon()
      return known.topic
    }
    const topic = create()
    const read = (): void => deliver(context, type, topic, path)
    const watching = watchFile(path, directory, read)
    const readSoon = (): void => queueMicrotask(read)
    files.set(key, { type, topic, close: () => watching.close(), readSoon })
    readSoon()
    return topic
  }

  return {
    watchAll(type, watcher) {
      const source = type === 'cluster' ? clusters : listeners
      if (source?.path === undefined) return ads.watchAll(type, watcher)
      const create = (): Topic => createCollection(owner, type, noTalk, stats, source.initialFetchTimeoutMs)
      return (fileOf(type, source.path, source.watchedDirectory, create) as CollectionTopic).watch(watcher)
    },
    watch(type, name, watcher, options = {}) {
      const { path, watchedDirectory } = options
      if (path === undefined) return ads.watch(type, name, watcher, options)
      const topic = fileOf(type, path, watchedDirectory, () => createNamed(owner, type, noTalk))
      return (topic as NamedTopic).watch(name, watcher, options)
    },
    pause: (type) => ads.pause(type),
    held: (type) => [
      ...ads.held(type),
      ...[...files.values()].filter((file) => file.type === type).flatMap(({ topic }) => topic.held),
    ],
    stall: () => ads.stall(),
    resume: () => ads.resume(),
    disconnect: () => ads.disconnect(),
    close() {
      for (const { topic, close } of files.values()) {
        close()
        topic.close()
      }
      ads.close()
    },
  }
}

/** What a file says, in the form of a SotW answer; one that cannot be read changes nothing. */
function deliver({ api, log }: ProxyContext, type: FileSubject['type'], topic: Topic, path: string): void {
  if (!topic.isWatched) return
  let arrivals: readonly Arrival[]
  let version: string
  try {
    const { message, problems } = readMessageText(
      api,
      'envoy.service.discovery.v3.DiscoveryResponse',
      readFileSync(path, 'utf8'),
    )
    if (problems.length > 0) throw new Error(problems.join('; '))
    const response = message as unknown as {
      readonly versionInfo: string
      readonly resources: readonly { readonly typeUrl: string; readonly value: Uint8Array }[]
    }
    version = response.versionInfo
    arrivals = response.resources.map(({ typeUrl, value }) => {
      if (typeUrl !== resourceTypes[type].typeUrl) throw new Error(`it holds a ${typeUrl}`)
      const { name, json, inner } = contentOf(api, { typeUrl, bytes: value })
      return { name, version: response.versionInfo, ttlMs: undefined, content: json, refusal: inner }
    })
  } catch (error) {
    log.warn({ type, path, reason: messageOf(error) }, 'a file with resources cannot be used')
    topic.onRefused()
    return
  }
  const refusal = delivered(log, topic, { arrivals, removed: [], version, isWhole: resourceTypes[type].isFullState })
  if (refusal !== undefined) log.warn({ type, path, reason: refusal }, 'a file with resources is refused')
}
