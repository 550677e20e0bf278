import type { StatScope } from '../stats/stat-store.ts'
import { CollectionTopic } from './collection-topic.ts'
import type { NamedType, WildcardType } from './discovery.ts'
import { NamedTopic } from './named-topic.ts'
import type { Talk } from './talk.ts'
import type { TopicOwner } from './topic.ts'

/** All clusters or listeners, which Envoy refuses one by one, each in its own words. */
export function createCollection(
  owner: TopicOwner,
  type: WildcardType,
  talk: Talk,
  stats: StatScope,
  initialFetchTimeoutMs: number | undefined,
): CollectionTopic {
  return type === 'cluster'
    ? new CollectionTopic(owner, talk, {
        word: 'cluster',
        stats: stats.scope('cluster_manager.cds.'),
        initialFetchTimeoutMs,
        separator: ', ',
        end: '',
      })
    : new CollectionTopic(owner, talk, {
        word: 'listener',
        stats: stats.scope('listener_manager.lds.'),
        initialFetchTimeoutMs,
        separator: '',
        end: '\n',
      })
}

export function createNamed(owner: TopicOwner, type: NamedType, talk: Talk): NamedTopic {
  return new NamedTopic(owner, talk, { asksAgain: type === 'endpoint' })
}
