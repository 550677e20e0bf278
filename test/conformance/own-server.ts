/** Our own server as a target: it watches the directory that the worlds are written to. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Apply } from './world-directory.ts'

const marker = 'applied'

/** In the directory, beside those of the cases. */
export const markerFile: string = `${marker}.json`

/** The server debounces for 50 ms. */
const pollMs = 15
const patienceMs = 10_000

/**
 * The files are in the config directory already. A last one tells that it was read with all others: by REST, the resource
 * in it has the number that was written.
 * @param adminUrl where REST xDS is
 * @throws Error when the server refuses what it was given, or takes it not in time
 */
export function applyToOwn(adminUrl: string): Apply {
  let count = 0
  return async (directory) => {
    count += 1
    const runtime = { '@type': 'type.googleapis.com/envoy.service.runtime.v3.Runtime', name: marker, layer: { count } }
    writeFileSync(join(directory, markerFile), JSON.stringify({ nodes: { cluster: marker }, resources: [runtime] }))
    for (const deadline = Date.now() + patienceMs; ; ) {
      if ((await countServed(adminUrl)) === count) break
      if (Date.now() > deadline) throw new Error(`the server did not take ${directory} within ${patienceMs} ms`)
      await sleep(pollMs)
    }
    const errors = await errorsOf(adminUrl)
    if (errors.length > 0) throw new Error(`the server refuses what it was given:\n${errors.join('\n')}`)
  }
}

async function countServed(adminUrl: string): Promise<number | undefined> {
  const response = await fetch(`${adminUrl}/v3/discovery:runtime`, {
    method: 'POST',
    body: JSON.stringify({ node: { id: marker, cluster: marker }, resource_names: [marker] }),
    headers: { 'content-type': 'application/json' },
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    return undefined
  }
  const { resources = [] } = (await response.json()) as { resources?: readonly { layer?: { count?: number } }[] }
  return resources[0]?.layer?.count
}

async function errorsOf(adminUrl: string): Promise<readonly string[]> {
  const { problems } = (await (await fetch(`${adminUrl}/api/problems`)).json()) as {
    problems: readonly {
      readonly severity: string
      readonly code: string
      readonly place: string
      readonly message: string
    }[]
  }
  // What clients reject is the cases' business.
  const refused = problems.filter(({ severity, code }) => severity === 'error' && code !== 'rejected')
  return refused.map(({ place, message }) => `${place}: ${message}`)
}
