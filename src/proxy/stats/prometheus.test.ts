import { describe, expect, it } from 'vitest'
import { createStatStore } from './create-stat-store.ts'
import { prometheusText } from './prometheus.ts'
import { tagged } from './stat-tags.ts'

describe('the tags of a stat', () => {
  it.each([
    ['cluster.cart.upstream_rq_total', 'cluster.upstream_rq_total', { 'envoy.cluster_name': 'cart' }],
    [
      'cluster.cart.upstream_rq_503',
      'cluster.upstream_rq',
      { 'envoy.response_code': '503', 'envoy.cluster_name': 'cart' },
    ],
    [
      'http.edge.downstream_rq_2xx',
      'http.downstream_rq_xx',
      { 'envoy.response_code_class': '2', 'envoy.http_conn_manager_prefix': 'edge' },
    ],
    [
      'listener.127.0.0.1_8080.downstream_cx_total',
      'listener.downstream_cx_total',
      { 'envoy.listener_address': '127.0.0.1_8080' },
    ],
    ['listener.edge.downstream_cx_total', 'listener.edge.downstream_cx_total', {}],
    [
      'http.edge.rds.shop/v1.eu.update_success',
      'http.rds.update_success',
      { 'envoy.rds_route_config': 'shop/v1.eu', 'envoy.http_conn_manager_prefix': 'edge' },
    ],
    ['cluster_manager.cds.update_success', 'cluster_manager.cds.update_success', {}],
    ['server.live', 'server.live', {}],
  ])('of %s', (full, name, tags) => {
    expect(tagged(full)).toEqual({
      name,
      tags: Object.entries(tags).map(([tag, value]) => ({ name: tag, value })),
    })
  })
})

describe('what Prometheus reads', () => {
  it('has a family for each name, and a line for each label', () => {
    const stats = createStatStore()
    stats.counter('cluster.b.upstream_rq_total').add(2)
    stats.counter('cluster.a.upstream_rq_total').add(1)
    stats.gauge('server.live').set(1)
    expect(prometheusText(stats)).toBe(`# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name="a"} 1
envoy_cluster_upstream_rq_total{envoy_cluster_name="b"} 2
# TYPE envoy_server_live gauge
envoy_server_live{} 1
`)
    expect(prometheusText(stats, (name) => name.startsWith('server'))).toBe(
      '# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n',
    )
  })

  it('has the buckets of a histogram, and the sum of them', () => {
    const stats = createStatStore()
    for (const value of [3, 7, 80]) stats.histogram('cluster.a.upstream_rq_time').record(value)
    const lines = prometheusText(stats).split('\n')
    expect(lines).toContain('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="1"} 0')
    expect(lines).toContain('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="10"} 2')
    expect(lines).toContain('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="+Inf"} 3')
    expect(lines).toContain('envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="a"} 90')
    expect(lines).toContain('envoy_cluster_upstream_rq_time_count{envoy_cluster_name="a"} 3')
  })
})
