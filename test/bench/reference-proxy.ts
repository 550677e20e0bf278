/** The reference proxy in a process of its own. */

import { forwardingBootstrap } from '../support/forwarding-bootstrap.ts'
import { answer } from './answer.ts'
import { createProxy } from './built-proxy.ts'

async function serve(upstream: number): Promise<number> {
  const proxy = await createProxy({ bootstrap: forwardingBootstrap(upstream) })
  await proxy.live
  return proxy.listenerPort('http') ?? 0
}

const commands: { serve: typeof serve } = { serve }
export type ReferenceProxyCommands = typeof commands

answer(commands)
