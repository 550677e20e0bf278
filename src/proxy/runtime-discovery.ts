import type { RuntimeLayerConfig } from './bootstrap.ts'
import { FieldReader, type JsonObject } from './config/field-reader.ts'
import type { Discovery } from './discovery/discovery.ts'
import type { LayeredRuntime } from './runtime.ts'
import type { StatScope } from './stats/stat-store.ts'

/**
 * Asks the control plane for the layers of the runtime that it is to tell (RTDS), and goes on listening.
 * @returns when all of them have come, or are known not to: clusters and listeners wait for that.
 */
export async function startRuntimeDiscovery(
  layers: readonly RuntimeLayerConfig[],
  runtime: LayeredRuntime,
  discovery: Discovery,
  stats: StatScope,
): Promise<void> {
  const counted = stats.scope('runtime.')
  const keys = counted.gauge('num_keys')
  const loads = counted.counter('load_success')
  counted.gauge('num_layers').set(layers.length)
  counted.counter('load_error')
  const count = (): void => {
    loads.add()
    keys.set(runtime.entries.size)
  }
  count()
  const told = layers.map(({ name, told: source }) => {
    if (source === undefined) return Promise.resolve()
    return new Promise<void>((resolve) => {
      const take = (values: JsonObject): void => {
        runtime.setLayer(name, values)
        count()
        resolve()
      }
      discovery.watch(
        'runtime',
        source.name,
        {
          onResource: ({ content }) => take(FieldReader.read(content, readLayer)),
          // A layer that is gone, unlike routes, is empty.
          onMissing: () => take({}),
        },
        { ...source.source, stats: stats.scope(`runtime.${source.name}.`) },
      )
    })
  })
  await Promise.all(told)
}

function readLayer(fields: FieldReader): JsonObject {
  fields.ignore('name', 'what was asked for')
  return fields.struct('layer') ?? {}
}
