import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SnapshotCache } from '../cache/cache.ts'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { messageToJson } from '../resource/codec.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { nodeOfJson } from '../resource/node.ts'
import { type NodeSelector, selectorKey } from '../resource/node-selector.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { type Snapshot, setOf } from '../snapshot/snapshot.ts'
import type { Unit } from '../snapshot/world.ts'
import { buildStaticConfig, type GroupResources } from './static-config.ts'

export interface EnvoyFailure {
  /** Whose configuration it is, for people. */
  readonly nodes: string
  /** Envoy's own words. */
  readonly message: string
}

interface Question {
  readonly api: EnvoyApi
  readonly cache: SnapshotCache
  readonly units: readonly Unit[]
  readonly staticClusters: readonly string[]
  readonly signal: AbortSignal
}

const timeoutMs = 60_000

/**
 * Has an Envoy binary check what the nodes of each selector would be sent.
 * @throws ControlPlaneError `usage` when the binary cannot be run.
 */
export async function askEnvoy(binary: string, question: Question): Promise<readonly EnvoyFailure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'fairlead-validate-'))
  const failures: EnvoyFailure[] = []
  const asked = new Set<Snapshot>()
  try {
    for (const selector of selectorsOf(question.units)) {
      const { snapshot } = question.cache.snapshotFor(exampleNode(selector))
      if (snapshot === undefined || asked.has(snapshot)) continue
      asked.add(snapshot)
      const file = join(directory, `${asked.size}.json`)
      const config = buildStaticConfig(resourcesOf(question.api, snapshot), question.staticClusters)
      await writeFile(file, JSON.stringify(config), { mode: 0o600 })
      const message = await run(binary, file, question.signal)
      const nodes = selectorKey(selector) === '{}' ? 'every node' : `nodes of ${selectorKey(selector)}`
      if (message !== undefined) failures.push({ nodes, message })
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
  return failures
}

function selectorsOf(units: readonly Unit[]): readonly NodeSelector[] {
  const all = units.flatMap(({ selectors }) => (selectors.length === 0 ? [{}] : selectors))
  return [...new Map(all.map((selector) => [selectorKey(selector), selector])).values()]
}

/** A node that the selector matches: its patterns with something in place of each `*`. */
function exampleNode(selector: NodeSelector): ReturnType<typeof nodeOfJson> {
  const fill = (pattern: string | undefined): string => (pattern ?? 'validate').replaceAll('*', 'validate')
  return nodeOfJson({ id: fill(selector.id), cluster: fill(selector.cluster), metadata: selector.metadata ?? {} })
}

function resourcesOf(api: EnvoyApi, snapshot: Snapshot): GroupResources {
  const list = (word: keyof GroupResources): GroupResources[typeof word] =>
    [...setOf(snapshot, resourceTypes[word].typeUrl).values()].map(
      ({ typeUrl, bytes }) => messageToJson(api, typeUrl, bytes) as GroupResources[typeof word][number],
    )
  return {
    cluster: list('cluster'),
    endpoint: list('endpoint'),
    listener: list('listener'),
    route: list('route'),
    secret: list('secret'),
  }
}

/** @returns what Envoy objects to, or undefined. */
async function run(binary: string, file: string, signal: AbortSignal): Promise<string | undefined> {
  const args = ['--mode', 'validate', '--log-level', 'error', '-c', file]
  return await new Promise((resolve, reject) => {
    execFile(binary, args, { signal, timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 }, (error, _stdout, stderr) => {
      if (error === null) return resolve(undefined)
      if (typeof error.code !== 'number') {
        return reject(new ControlPlaneError('usage', `--envoy ${binary} cannot be run: ${messageOf(error)}`))
      }
      return resolve(objectionOf(stderr))
    })
  })
}

/** The last thing that Envoy says is why it refuses; its own prefix says nothing to a reader. */
function objectionOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const line = lines.findLast((candidate) => candidate.includes('error initializing config')) ?? lines.at(-1) ?? ''
  return line
    .replace(/^.*error initializing config '[^']*': /, '')
    .replace(/^\[[^\]]*\]\[[^\]]*\]\[[^\]]*\]\[[^\]]*\] /, '')
}
