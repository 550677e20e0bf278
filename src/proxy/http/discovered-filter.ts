import { ConfigRejection } from '../config/config-rejection.ts'
import { type ConfigSourceConfig, readConfigSource } from '../config/config-source.ts'
import { FieldReader, type ReadByType } from '../config/field-reader.ts'
import type { FilterOwner, HttpFilter, HttpFilterKind } from './http-filter.ts'

/** A filter with its configuration, read. */
export interface ReadFilter {
  readonly kind: HttpFilterKind
  readonly config: unknown
}

/** A filter whose configuration comes by itself (ECDS), and may become another while the listener goes on. */
export interface DiscoveredFilter {
  readonly source: ConfigSourceConfig
  /** Which of all filters it may be. */
  readonly types: ReadByType<ReadFilter>
  /** In use until one comes, and when it is taken away. */
  readonly byDefault: ReadFilter | undefined
  readonly isWaitedFor: boolean
}

const envoysTimeoutMs = 15_000

/** `envoy.config.core.v3.ExtensionConfigSource` */
export function readDiscoveredFilter(fields: FieldReader, types: ReadByType<ReadFilter>): DiscoveredFilter {
  const names = fields.strings('type_urls').map((url) => url.replace(/^.*\//, ''))
  for (const name of names) {
    if (types[name] === undefined) fields.refuse('type_urls', `the reference proxy does not know ${name}`)
  }
  return {
    source: fields.message('config_source', readConfigSource) ?? { initialFetchTimeoutMs: envoysTimeoutMs },
    types: Object.fromEntries(Object.entries(types).filter(([name]) => names.includes(name))),
    byDefault: fields.any('default_config', types),
    isWaitedFor: !fields.flag('apply_default_config_without_warming'),
  }
}

export const discoveredFilterKind: HttpFilterKind<DiscoveredFilter> = {
  type: 'envoy.config.core.v3.ExtensionConfigSource',
  read: (fields) => readDiscoveredFilter(fields, {}),
  create({ source, types, byDefault, isWaitedFor }, name, owner) {
    const make = ({ kind, config }: ReadFilter): (() => HttpFilter) => kind.create(config, name, owner)
    const fallback = byDefault && make(byDefault)
    let current = fallback
    watchFilter(name, { source, types, isWaitedFor }, owner, (read) => {
      current = read === undefined ? fallback : make(read)
    })
    return () => current?.() ?? unconfigured
  },
}

/** As long as nobody has said what it is to do, nothing passes it. */
const unconfigured: HttpFilter = {
  onRequest(stream) {
    stream.reply({ status: 500, flag: 'NFCF', details: '' })
    return false
  },
}

function watchFilter(
  name: string,
  { source, types, isWaitedFor }: Omit<DiscoveredFilter, 'byDefault'>,
  { discovered, context }: FilterOwner,
  use: (read: ReadFilter | undefined) => void,
): void {
  if (discovered === undefined) throw new ConfigRejection(`${name}: config_discovery is not supported here`)
  const stats = context.stats.scope(`extension_config_discovery.http_filter.${name}.`)
  const reloads = stats.counter('config_reload')
  const failures = stats.counter('config_fail')
  let settle = (): void => undefined
  if (isWaitedFor) {
    discovered.waitFor(
      `the filter ${name}`,
      new Promise((resolve) => {
        settle = resolve
      }),
    )
  }
  const watching = discovered.discovery.watch(
    'extension',
    name,
    {
      onResource({ content }) {
        try {
          use(FieldReader.read(content, (fields) => readTyped(fields, types)))
        } catch (error) {
          failures.add()
          throw error
        }
        reloads.add()
        settle()
      },
      onMissing() {
        use(undefined)
        settle()
      },
    },
    { ...source, stats },
  )
  discovered.onClosed(() => {
    watching.cancel()
    stats.close()
    settle()
  })
}

/** `envoy.config.core.v3.TypedExtensionConfig` */
function readTyped(fields: FieldReader, types: ReadByType<ReadFilter>): ReadFilter | undefined {
  fields.ignore('name', 'what was asked for')
  return fields.any('typed_config', types)
}
