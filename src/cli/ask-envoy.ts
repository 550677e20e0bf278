import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ControlPlaneError, messageOf } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { nodeOfJson } from '../resource/node.ts'
import { type NodeSelector, selectorKey } from '../resource/node-selector.ts'
import { selectorLabel } from '../resource/selector-label.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { Unit } from '../snapshot/world.ts'
import { fieldsOf, groupResources } from './group-resources.ts'
import type { ReadWorld } from './read-world.ts'
import { buildStaticConfig } from './static-config.ts'

export interface EnvoyFailure {
  /** Whose configuration it is, for people: `every node`, `nodes of cluster=edge`. */
  readonly nodes: string
  /** Envoy's own words. */
  readonly message: string
}

interface Question {
  readonly api: EnvoyApi
  readonly world: Pick<ReadWorld, 'served' | 'snapshotFor'>
  readonly staticClusters: readonly string[]
  readonly signal: AbortSignal
}

const timeoutMs = 60_000

/**
 * Has an Envoy binary check what the nodes of each selector would be sent.
 * @throws ControlPlaneError `usage` when the binary cannot be run.
 */
export async function askEnvoy(
  binary: string,
  { api, world, staticClusters, signal }: Question,
): Promise<readonly EnvoyFailure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'fairlead-validate-'))
  const failures: EnvoyFailure[] = []
  const asked = new Set<Snapshot>()
  try {
    for (const selector of selectorsOf(world.served)) {
      const snapshot = world.snapshotFor(exampleNode(selector))
      if (snapshot === undefined || asked.has(snapshot)) continue
      asked.add(snapshot)
      const file = join(directory, `${asked.size}.json`)
      const resources = groupResources(snapshot, (resource) => fieldsOf(api, resource))
      const config = buildStaticConfig(resources, staticClusters)
      await writeFile(file, JSON.stringify(config), { mode: 0o600 })
      const message = await run(binary, file, signal)
      if (message !== undefined) failures.push({ nodes: nodesOf(selector), message })
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
  return failures
}

function nodesOf(selector: NodeSelector): string {
  return selectorKey(selector) === '{}' ? 'every node' : `nodes of ${selectorLabel(selector)}`
}

function selectorsOf(units: readonly Unit[]): readonly NodeSelector[] {
  const all = units.flatMap(({ selectors }) => (selectors.length === 0 ? [{}] : selectors))
  return [...new Map(all.map((selector) => [selectorKey(selector), selector])).values()]
}

/** A node that the selector matches: its patterns with something in place of each `*`. */
function exampleNode(selector: NodeSelector): ReturnType<typeof nodeOfJson> {
  const fill = (pattern: string | undefined): string => (pattern ?? 'validate').replaceAll('*', 'validate')
  return nodeOfJson({
    id: fill(selector.id),
    cluster: fill(selector.cluster),
    metadata: selector.metadata ?? {},
    ...(selector.region !== undefined && { locality: { region: selector.region } }),
  })
}

/** @returns what Envoy objects to, or undefined. */
async function run(binary: string, file: string, signal: AbortSignal): Promise<string | undefined> {
  const args = ['--mode', 'validate', '--log-level', 'error', '-c', file]
  return await new Promise((resolve, reject) => {
    execFile(binary, args, { signal, timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 }, (error, _stdout, stderr) => {
      if (error === null) return resolve(undefined)
      if (typeof error.code === 'number') return resolve(objectionOf(stderr))
      if (typeof error.signal === 'string') {
        const why = signal.aborted
          ? 'it was interrupted'
          : `it ended with ${error.signal}, or took over ${timeoutMs / 1000} s`
        return resolve(`${why}. ${objectionOf(stderr)}`.trim())
      }
      return reject(new ControlPlaneError('usage', `--envoy ${binary} cannot be run: ${messageOf(error)}`))
    })
  })
}

/** The last thing that Envoy says is why it refuses; where in its source it says so, and of which file, helps no reader. */
function objectionOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const line = lines.findLast((candidate) => candidate.includes('error initializing config')) ?? lines.at(-1) ?? ''
  return line.replace(/^.*error initializing config(?:uration)? '[^']*': /, '').replace(/^(?:\[[^\]]*\])+ /, '')
}
