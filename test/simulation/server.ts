import { createSnapshotCache } from '../../src/cache/snapshot-cache.ts'
import { type Log, silentLog } from '../../src/log.ts'
import type { Call } from '../../src/xds/call.ts'
import { defaultXdsServerOptions, type XdsServerOptions } from '../../src/xds/server.ts'
import { StatusRecorder } from '../../src/xds/status.ts'
import { Stream } from '../../src/xds/stream.ts'
import { buildStreamDeps, type StreamDeps } from '../../src/xds/stream-deps.ts'
import type { StreamEvent } from '../../src/xds/stream-event.ts'
import { resourceOf } from './resources.ts'
import type { Spec } from './scenario.ts'
import type { VirtualTime } from './virtual-time.ts'

/** The client's end of a line to the server. */
export type Connection = Pick<Stream, 'receive' | 'cancel'>

/** No virtual Envoy drains longer than this. */
export const longestDrainMs = 30_000

export const serverOptions: XdsServerOptions = {
  ...defaultXdsServerOptions,
  drainTimeMs: longestDrainMs,
  allowPlaintextSecrets: true,
}

/**
 * The server itself, without its sockets: the real streams, fan-out, bodies and snapshot cache, put together as in the
 * server that people run, on virtual time.
 */
export class SimulatedServer {
  readonly #cache = createSnapshotCache()
  readonly #deps: StreamDeps

  constructor(time: VirtualTime, onEvent: (event: StreamEvent) => void) {
    this.#deps = buildStreamDeps(
      { ...serverOptions, identifier: 'simulated' },
      {
        cache: this.#cache,
        log: quietLog,
        status: new StatusRecorder(),
        onEvent,
        clock: time,
        defer: (act) => time.defer(act),
      },
    )
  }

  /** From now on the nodes of a group are to have these resources. */
  apply(group: number, specs: readonly Spec[]): void {
    const key = `g${group}`
    const selectors = [{ cluster: key }]
    const unit = { key, origin: { name: `${key}.yaml` }, selectors, resources: specs.map(resourceOf) }
    this.#cache.apply({ upserted: [unit], removed: [], withheld: [] })
  }

  connect(protocol: 'sotw' | 'delta', call: Call): Connection {
    return new Stream(call, { protocol, typeUrl: undefined }, this.#deps, () => {})
  }
}

/** pino makes a child for every stream, which takes longer than all that the stream does. */
const quietLog: Log = new Proxy(silentLog, {
  get: (log, key) => (key === 'child' ? () => quietLog : Reflect.get(log, key)),
})
