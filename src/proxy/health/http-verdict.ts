import type { HttpCheck, StatusRange } from './health-check-config.ts'
import { containsInOrder, failed, type ProbeResult, passed } from './probe.ts'

export interface CheckAnswer {
  readonly status: number
  /** The first value of a header, by its name in lower case. */
  header(name: string): string | undefined
  readonly body: Buffer
}

/** What an answer over HTTP says of a host's health. */
export function judgeAnswer(check: HttpCheck, answer: CheckAnswer): ProbeResult {
  if (!containsInOrder(answer.body, check.receive)) return failed
  if (!isIn(check.expected, answer.status)) return { kind: 'failed', isRetriable: isIn(check.retriable, answer.status) }
  const service = answer.header('x-envoy-upstream-healthchecked-cluster') ?? ''
  if (check.serviceName !== undefined && !check.serviceName(service)) return failed
  return answer.header('x-envoy-degraded') === undefined ? passed : { kind: 'passed', isDegraded: true }
}

const isIn = (ranges: readonly StatusRange[], status: number): boolean =>
  ranges.some(({ start, end }) => status >= start && status < end)
