import { setTimeout as sleep } from 'node:timers/promises'
import type { DemoControlPlane } from './control-plane.ts'

/** Resolves when the proxy has accepted routes that were sent after the first. */
export async function waitForSecondRoutes({ admin }: DemoControlPlane, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const response = await fetch(`${admin}/api/nodes`, { signal })
    const { nodes } = (await response.json()) as { nodes: { types: Record<string, RouteStatus> }[] }
    const route = nodes[0]?.types['route']
    if (route?.nacked !== undefined) throw new Error(`the proxy rejected the routes: ${route.nacked.message}`)
    if (route !== undefined && route.responses > 1 && route.sent === route.acked) return
    if (performance.now() > deadline) throw new Error('the proxy has not taken the edited routes within 10 s')
    await sleep(5, undefined, { signal })
  }
}

interface RouteStatus {
  readonly sent?: string
  readonly acked?: string
  readonly nacked?: { readonly message: string }
  readonly responses: number
}
