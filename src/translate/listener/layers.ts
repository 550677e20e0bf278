import type { AccessLog, Tracing } from '../../config/kinds/common-form.ts'

/** What is said in several places: of each field, what the place nearest to the listener says counts. Nearest last. */

export function accessLogOf(...layers: readonly (AccessLog | undefined)[]): AccessLog | undefined {
  return merged(layers, ({ off, ...below }, above) => ({
    ...below,
    // Whoever says what is logged means that something is.
    ...(off !== undefined && Object.keys(above).length === 0 && { off }),
    ...above,
    // Whoever gives fields means JSON, whatever the format was.
    ...(above.fields !== undefined && above.format === undefined && { format: 'json' as const }),
  }))
}

export function tracingOf(...layers: readonly (Tracing | undefined)[]): Tracing | undefined {
  return merged(layers, (below, above) => {
    const { otlp, zipkin, ...rest } = below
    const isElsewhere = above.otlp !== undefined || above.zipkin !== undefined
    const collector = { ...(otlp && { otlp }), ...(zipkin && { zipkin }) }
    return { ...rest, ...(!isElsewhere && collector), ...above }
  })
}

function merged<T extends object>(layers: readonly (T | undefined)[], over: (below: T, above: T) => T): T | undefined {
  return layers.reduce((below, above) => {
    if (below === undefined || above === undefined) return above ?? below
    return over(below, above)
  }, undefined)
}
