import type { HealthCheck, ServiceForm } from '../../config/kinds/service-form.ts'
import { serviceDefaults as defaults } from '../defaults.ts'
import { at, type EnvoyJson, within } from '../envoy-json.ts'
import { durationOr, or, type PolicyLayer, type PolicyLayers, said } from './policy-layers.ts'
import { speaksHttp, speaksHttp2 } from './protocol.ts'

/** Undefined where nothing asks for one. */
export function healthChecks(form: ServiceForm, layers: PolicyLayers): EnvoyJson | undefined {
  const layer = checkingLayer(form, layers)
  const check = layer?.policy.healthCheck
  if (layer === undefined || check === undefined) return undefined
  const interval = durationOr(said(layers, 'healthCheck', 'interval'), defaults.healthIntervalMs)
  return [
    {
      timeout: durationOr(said(layers, 'healthCheck', 'timeout'), defaults.healthTimeoutMs),
      interval,
      interval_jitter_percent: defaults.healthJitterPercent.value,
      // Envoy would ask hosts of a cluster without traffic once a minute.
      no_traffic_interval: interval,
      unhealthy_threshold: or(said(layers, 'healthCheck', 'unhealthyAfter'), defaults.unhealthyAfter),
      healthy_threshold: or(said(layers, 'healthCheck', 'healthyAfter'), defaults.healthyAfter),
      ...asked(form, check, layer),
    },
  ]
}

/** The port that endpoints are asked at, where they do not say one themselves: what is asked otherwise is asked elsewhere. */
export function healthPort(form: ServiceForm, layers: PolicyLayers): number | undefined {
  const kind = kindOf(checkingLayer(form, layers))
  if (kind === undefined) return undefined
  const alike = layers.filter((layer) => kindOf(layer) === kind)
  return said(alike, 'healthCheck', 'port')?.value
}

const kinds = ['http', 'tcp', 'grpc'] as const

function kindOf(layer: PolicyLayer | undefined): (typeof kinds)[number] | undefined {
  return kinds.find((kind) => layer?.policy.healthCheck?.[kind] !== undefined)
}

/** The layer that says how to ask. What the Mesh says for all of its services is for those that can answer it. */
function checkingLayer({ protocol }: ServiceForm, layers: PolicyLayers): PolicyLayer | undefined {
  return layers.find(({ policy: { healthCheck }, from }) => {
    if (healthCheck === undefined) return false
    if (from.document.form.kind !== 'Mesh') return true
    if (healthCheck.grpc !== undefined) return protocol === 'grpc'
    return healthCheck.tcp === true || speaksHttp(protocol)
  })
}

function asked(form: ServiceForm, check: HealthCheck, { from }: PolicyLayer): { readonly [field: string]: EnvoyJson } {
  const place = within(from, 'healthCheck')
  if (check.tcp === true) return { tcp_health_check: {} }
  if (check.grpc !== undefined) {
    const { service } = check.grpc
    const json = { service_name: service, authority: form.name }
    return { grpc_health_check: at(within(place, 'grpc'), json) }
  }
  const { path = '/', host = form.name, statuses = ['200'] } = check.http ?? {}
  const ranges = statuses.map(rangeOf)
  return {
    http_health_check: at(within(place, 'http'), {
      host,
      path,
      expected_statuses: ranges.map(rangeJson),
      // Any other status would make a host unhealthy at once, whatever `unhealthyAfter` says.
      retriable_statuses: othersOf(ranges).map(rangeJson),
      codec_client_type: speaksHttp2(form.protocol) ? 'HTTP2' : 'HTTP1',
    }),
  }
}

/** From the first status to the one after the last. */
type StatusRange = readonly [start: number, end: number]

const statusBounds: StatusRange = [100, 600]

function rangeOf(status: string): StatusRange {
  const [first = '', last = first] = status.split('-')
  return [Number(first), Number(last) + 1]
}

function othersOf(ranges: readonly StatusRange[]): readonly StatusRange[] {
  const others: StatusRange[] = []
  let [next] = statusBounds
  for (const [start, end] of ranges.toSorted((a, b) => a[0] - b[0])) {
    if (start > next) others.push([next, start])
    next = Math.max(next, end)
  }
  return next < statusBounds[1] ? [...others, [next, statusBounds[1]]] : others
}

const rangeJson = ([start, end]: StatusRange): EnvoyJson => ({ start, end })
