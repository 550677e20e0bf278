import type { RouteDefaults } from '../../config/kinds/common-form.ts'

/** What layers say together, field by field: the first that says it has the word. */
export function layerDefaults(...layers: readonly (RouteDefaults | undefined)[]): RouteDefaults {
  return layers.reduceRight<RouteDefaults>((below, layer = {}) => {
    const retry = { ...below.retry, ...layer.retry }
    return { ...below, ...layer, ...(Object.keys(retry).length > 0 && { retry }) }
  }, {})
}
