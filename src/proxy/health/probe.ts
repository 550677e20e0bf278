import type { Duplex } from 'node:stream'
import type { ClusterHost } from '../cluster/cluster-host.ts'

/** What a check has found. */
export type ProbeResult =
  | { readonly kind: 'passed'; readonly isDegraded: boolean }
  /** It answered, and not well. Where that is not retriable, once is enough. */
  | { readonly kind: 'failed'; readonly isRetriable: boolean }
  /** It could not be asked. */
  | { readonly kind: 'network' }

export const passed: ProbeResult = { kind: 'passed', isDegraded: false }
export const failed: ProbeResult = { kind: 'failed', isRetriable: false }
export const unreachable: ProbeResult = { kind: 'network' }

/** Checks one host, again and again; its connection may stay from one check to the next. */
export interface Probe {
  /** Never rejects. `signal` ends it when it takes too long. */
  check(signal: AbortSignal): Promise<ProbeResult>
  close(): void
}

export interface ProbeOwner {
  readonly clusterName: string
  /** A connection to where the host is checked; rejects where there is none. */
  connect(host: ClusterHost, alpn?: readonly string[]): Promise<Duplex>
}

/** Whom a check asks for: what the endpoint says, or the check, or the cluster's own name. */
export function authorityOf(host: ClusterHost, said: string, clusterName: string): string {
  return host.healthCheck.hostname || said || clusterName
}

/** Whether all parts are in it, each behind the one before. */
export function containsInOrder(content: Buffer, parts: readonly Buffer[]): boolean {
  let at = 0
  for (const part of parts) {
    const found = content.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return true
}
