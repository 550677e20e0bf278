import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atTestEnd, ifTestFails } from './at-test-end.ts'
import { tail } from './envoy-process.ts'
import { findProgram } from './find-program.ts'
import { freePorts } from './free-ports.ts'
import { eventually } from './poll.ts'
import { tempDir } from './temp.ts'

/** A real Prometheus that scrapes every second. */
export interface TestPrometheus {
  readonly url: string
  /** What an instant query gives now. @throws Error with Prometheus' words for one that it refuses */
  query(expr: string): Promise<readonly Sample[]>
  /** The values of a label, of the series of a metric. */
  labelValues(metric: string, label: string): Promise<readonly string[]>
  /** The alerts that are pending or firing, by name. */
  alerts(): Promise<readonly { readonly name: string; readonly state: string }[]>
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What is scraped, by the job's name. */
export type ScrapeJobs = Readonly<Record<string, { readonly targets: readonly string[]; readonly path: string }>>

/** Both programs are there: Debian has them in one package. */
export function findPrometheus(): { readonly prometheus: string; readonly promtool: string } | undefined {
  const [prometheus, promtool] = [findProgram('prometheus'), findProgram('promtool')]
  return prometheus === undefined || promtool === undefined ? undefined : { prometheus, promtool }
}

/** Killed at the test's end. @param rules the path of a file of rules. @throws Error with its log's end when it does not come up */
export async function startPrometheus(jobs: ScrapeJobs, rules?: string): Promise<TestPrometheus> {
  const binary = findPrometheus()?.prometheus
  if (binary === undefined) throw new Error('there is no Prometheus: npm run setup')
  const directory = tempDir()
  const file = join(directory, 'prometheus.json')
  writeFileSync(file, JSON.stringify(configOf(jobs, rules)))
  const [port] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const flags = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=${address}`,
  ]
  const child = spawn(binary, flags, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (chunk: string) => {
    log += chunk
  })
  const ended = once(child, 'close')
  atTestEnd(async () => {
    child.kill('SIGKILL')
    await ended
  })
  ifTestFails(() => console.error(`the end of the log of Prometheus:\n${tail(log)}`))
  const url = `http://${address}`
  const get = async <T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<T> => {
    const response = await fetch(`${url}${path}?${new URLSearchParams(query).toString()}`)
    const { data, error } = (await response.json()) as { readonly data?: T; readonly error?: string }
    if (data === undefined) throw new Error(`${JSON.stringify(query)}: ${error}`)
    return data
  }
  await eventually(
    async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}:\n${tail(log)}`)
      return (await fetch(`${url}/-/ready`)).ok
    },
    { timeoutMs: 20_000 },
  )
  return {
    url,
    async query(expr) {
      const data = await get<QueryData>('/api/v1/query', { query: expr })
      if (data.resultType !== 'vector') throw new Error(`${expr} gives a ${data.resultType}`)
      return data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }))
    },
    labelValues: async (metric, label) => await get(`/api/v1/label/${label}/values`, { 'match[]': metric }),
    alerts: async () =>
      (await get<AlertsData>('/api/v1/alerts')).alerts.map(({ labels, state }) => ({ name: labels.alertname, state })),
  }
}

interface QueryData {
  readonly resultType: string
  readonly result: readonly { readonly metric: Readonly<Record<string, string>>; readonly value: [number, string] }[]
}

interface AlertsData {
  readonly alerts: readonly { readonly labels: { readonly alertname: string }; readonly state: string }[]
}

/** JSON is YAML. */
function configOf(jobs: ScrapeJobs, rules: string | undefined): object {
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    ...(rules !== undefined && { rule_files: [rules] }),
    scrape_configs: Object.entries(jobs).map(([job_name, { targets, path }]) => ({
      job_name,
      metrics_path: path,
      static_configs: [{ targets }],
    })),
  }
}
