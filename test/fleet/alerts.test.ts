import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { anchorsOf } from '../support/anchors.ts'
import { describeWithEnvoy, describeWithEtcd, describeWithPrometheus } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startPrometheus } from '../support/prometheus.ts'
import { examples, startWatchedFleet } from '../support/watched-fleet.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

interface RuleTests {
  readonly tests: readonly {
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[]
  }[]
}

const directory = join(examples, 'prometheus')
const rulesFile = join(directory, 'fairlead-alerts.yml')
const testsFile = join(directory, 'fairlead-alerts.test.yml')
const rules = (
  parse(readFileSync(rulesFile, 'utf8')) as { groups: readonly { rules: readonly Rule[] }[] }
).groups.flatMap((group) => group.rules)

/** What Prometheus itself says of a target. */
const ofPrometheus = 'up'

/** The names of metrics in an expression: ours, Node's and Envoy's, and none of its functions and labels. */
const metricsIn = (expr: string): readonly string[] =>
  expr.match(/\b(?:fairlead|process|nodejs|envoy)_\w+|\bup\b/g) ?? []

/** The names of what a page of metrics tells. */
async function namesAt(url: string): Promise<ReadonlySet<string>> {
  const lines = (await (await fetch(url)).text()).split('\n')
  return new Set(
    lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split(/[{ ]/)[0] ?? ''),
  )
}

describeWithPrometheus('the alerts', (promtool) => {
  test('are rules that promtool accepts', () => {
    expect(rules.length).toBeGreaterThan(15)
    expect(execFileSync(promtool, ['check', 'rules', rulesFile], { encoding: 'utf8' })).toContain(
      `SUCCESS: ${rules.length} rules found`,
    )
  })

  test('fire when they should, and not otherwise, by the tests beside them', () => {
    expect(execFileSync(promtool, ['test', 'rules', testsFile], { encoding: 'utf8' })).toContain('SUCCESS')
    const checks = (parse(readFileSync(testsFile, 'utf8')) as RuleTests).tests.flatMap((one) => one.alert_rule_test)
    for (const { alert } of rules) {
      const own = checks.filter(({ alertname }) => alertname === alert)
      expect(
        own.some(({ exp_alerts = [] }) => exp_alerts.length > 0),
        `${alert} fires in some test`,
      ).toBe(true)
      expect(
        own.some(({ exp_alerts = [] }) => exp_alerts.length === 0),
        `${alert} stays silent in some`,
      ).toBe(true)
    }
  })

  test('each say how bad it is, what it means, and where in docs/operations.md it says what to do', () => {
    const page = readFileSync(join(examples, '../docs/operations.md'), 'utf8')
    const anchors = anchorsOf(page)
    for (const { alert, labels, annotations } of rules) {
      expect(['critical', 'warning'], alert).toContain(labels['severity'])
      expect(Object.keys(annotations), alert).toEqual(['summary', 'description', 'runbook'])
      const [file, anchor] = annotations['runbook']?.split('#') ?? []
      expect(file, alert).toBe('docs/operations.md')
      expect(anchors, alert).toContain(anchor)
    }
    // The page names them, too: whoever is called looks for the name.
    for (const { alert } of rules) expect(page).toContain(`\`${alert}\``)
  })

  describeWithEtcd('about documents in etcd', () => {
    describeWithEnvoy('and a stock Envoy', () => {
      test('ask for nothing that is not at /metrics, and fire in a real Prometheus for what is rejected', async () => {
        const { server, envoy, targets } = await startWatchedFleet()
        const there = new Set([
          ofPrometheus,
          ...(await namesAt(`${server.adminUrl}/metrics`)),
          ...(await namesAt(`${envoy.admin}/stats/prometheus`)),
        ])
        for (const { alert, expr } of rules) {
          const names = metricsIn(expr)
          expect(names.length, alert).toBeGreaterThan(0)
          for (const name of names) expect(there, `${name} of ${alert}`).toContain(name)
        }

        const prometheus = await startPrometheus(
          {
            fairlead: { targets: [targets.fairlead], path: '/metrics' },
            envoy: { targets: [targets.envoy], path: '/stats/prometheus' },
          },
          rulesFile,
        )
        const firing = async (): Promise<string[]> =>
          (await prometheus.alerts()).filter(({ state }) => state === 'firing').map(({ name }) => name)
        // The test's certificate is good for a day, and one of its clusters is none that Envoy takes.
        await eventually(
          async () =>
            expect(await firing()).toEqual(expect.arrayContaining(['FairleadCertificateEnds', 'FairleadRejected'])),
          { timeoutMs: 30_000 },
        )
        expect(
          (await firing()).filter((name) => !/^FairleadCertificateEnd|^FairleadRejected$|^EnvoyRejects$/.test(name)),
        ).toEqual([])
      })
    })
  })
})
