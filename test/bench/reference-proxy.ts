/** The reference proxy in a process of its own. */

import { answer } from './answer.ts'
import { createProxy } from './built-proxy.ts'
import { forwardingBootstrap } from './forwarding-bootstrap.ts'

async function serve(upstream: number): Promise<number> {
  const proxy = await createProxy({ bootstrap: forwardingBootstrap(upstream) })
  await proxy.live
  return proxy.listenerPort('http') ?? 0
}

const commands: { serve: typeof serve } = { serve }
export type ReferenceProxyCommands = typeof commands

answer(commands)
