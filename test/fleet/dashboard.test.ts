import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../src/metrics.ts'
import { describeWithEnvoy, describeWithEtcd, describeWithPrometheus } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startPrometheus } from '../support/prometheus.ts'
import { examples, startWatchedFleet } from '../support/watched-fleet.ts'

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly datasource?: unknown
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly datasource: unknown }[]
}

interface Variable {
  readonly name: string
  readonly type: string
  readonly definition?: string
}

interface Dashboard {
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
}

const dashboard = JSON.parse(readFileSync(join(examples, 'grafana/fairlead.json'), 'utf8')) as Dashboard
const { panels } = dashboard
const variables = dashboard.templating.list
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))

/** As Grafana fills the variables in, where everything is chosen. */
const values: Readonly<Record<string, string>> = {
  $job: 'fairlead',
  $instance: '.*',
  $envoys: '.*',
  $__rate_interval: '15s',
}
const filledIn = (text: string): string => text.replaceAll(/\$\w+/g, (name) => values[name] ?? name)

describe('the dashboard', () => {
  test('is one that Grafana imports: numbered panels that do not overlap, all of one data source', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36)
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    const source = { type: 'prometheus', uid: '${datasource}' }
    for (const { type, title, datasource, targets = [] } of panels) {
      if (type === 'row') continue
      expect(datasource, title).toEqual(source)
      expect(targets.length, title).toBeGreaterThan(0)
      for (const target of targets) expect(target.datasource, title).toEqual(source)
    }
    expect(variables[0]).toMatchObject({ name: 'datasource', type: 'datasource' })
    const named = queries.flatMap(({ expr }) => expr.match(/\$[a-z]\w*/g) ?? [])
    for (const name of named) expect(variables.map((variable) => `$${variable.name}`)).toContain(name)
  })

  test('shows every metric of ours', async () => {
    const ours = (await createMetrics().registry.getMetricsAsJSON())
      .map(({ name }) => name)
      .filter((name) => name.startsWith('fairlead_'))
    const shown = queries.map(({ expr }) => expr).join(' ')
    expect(ours.filter((name) => !shown.includes(name))).toEqual([])
  })

  describeWithPrometheus('in a real Prometheus', () => {
    describeWithEtcd('over documents in etcd', () => {
      describeWithEnvoy('and a stock Envoy', () => {
        test('has a number for every query of every panel, and a value for every variable', async () => {
          const fleet = await startWatchedFleet()
          const prometheus = await startPrometheus({
            fairlead: { targets: [fleet.targets.fairlead], path: '/metrics' },
            envoy: { targets: [fleet.targets.envoy], path: '/stats/prometheus' },
          })
          expect(queries.length).toBeGreaterThan(30)
          const unanswered = new Map(queries.map(({ title, expr }) => [filledIn(expr), title]))
          await eventually(
            async () => {
              // Rates are of what happens while it is looked at.
              await fleet.change()
              for (const expr of unanswered.keys()) {
                const samples = await prometheus.query(expr)
                if (samples.some(({ value }) => Number.isFinite(value))) unanswered.delete(expr)
              }
              if (unanswered.size > 0) throw new Error(`nothing is answered to ${JSON.stringify([...unanswered])}`)
            },
            { timeoutMs: 60_000, intervalMs: 500 },
          )
          for (const { name, definition } of variables) {
            if (definition === undefined) continue
            const [, series = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(filledIn(definition)) ?? []
            expect(await prometheus.labelValues(series, label), name).not.toEqual([])
          }
        })
      })
    })
  })
})
