import { connectEtcd, defaultTiming, type EtcdClient, type EtcdOptions, etcdFailure } from './etcd-client.ts'
import { createHint } from './hint.ts'

/** A key that is there as long as its holder lives, and for the lease's time after. */
export interface HeldKey {
  /** Resolves when the key is first there. */
  readonly held: Promise<void>
  /** Another value from now on. Resolves when etcd has it, or cannot be reached for as long as the lease lasts. */
  set(value: string): Promise<void>
  /** Deletes the key, as far as etcd can be reached; ends everything. */
  release(): Promise<void>
}

export interface HoldOptions extends EtcdOptions {
  readonly key: string
  readonly value: string
  /** In whole seconds: etcd knows no less. */
  readonly ttlS: number
  /** Told once each time that something changes for the worse or the better. */
  readonly onNews: (text: string) => void
}

/**
 * Holds a key under a lease until it is released: the lease is renewed three times in its life, and taken anew where etcd
 * lost it. While etcd cannot be reached it is tried again, at every endpoint in turn.
 */
export function holdKey(options: HoldOptions): HeldKey {
  const { endpoints, key, ttlS, onNews } = options
  const abort = new AbortController()
  const wake = createHint()
  let value = options.value
  let written: string | undefined
  let lease: string | undefined
  let said: string | undefined
  const waiting = new Set<() => void>()
  let resolveHeld: () => void = () => {}
  const held = new Promise<void>((resolve) => {
    resolveHeld = resolve
  })

  const write = async (client: EtcdClient): Promise<void> => {
    lease ??= (await client.leaseClient.leaseGrant({ TTL: ttlS })).ID
    const wanted = value
    await client.kv.put({ key: Buffer.from(key), value: Buffer.from(wanted), lease })
    written = wanted
    resolveHeld()
    for (const done of waiting) done()
    waiting.clear()
  }

  const follow = async (client: EtcdClient): Promise<void> => {
    while (!abort.signal.aborted) {
      if (lease !== undefined && !(await renewLease(client, lease, options))) {
        onNews(`etcd has lost the lease of ${key}: taking a new one`)
        lease = undefined
        written = undefined
      }
      if (written !== value) await write(client)
      if (said !== undefined) onNews('etcd can be reached again')
      said = undefined
      await wake.wait((ttlS * 1000) / 3, abort.signal)
    }
  }

  const run = async (): Promise<void> => {
    for (let turn = 0; !abort.signal.aborted; turn++) {
      const endpoint = endpoints[turn % endpoints.length] as string
      let client: EtcdClient | undefined
      try {
        client = await connectEtcd(options, endpoint)
        await follow(client)
        if (lease !== undefined) await client.leaseClient.leaseRevoke({ ID: lease })
      } catch (error) {
        const why = etcdFailure(error)
        if (why !== said && !abort.signal.aborted)
          onNews(`etcd cannot be reached at ${endpoint}: ${why}; it is tried again`)
        said = why
        await wake.wait(Math.min(1000, (ttlS * 1000) / 6), abort.signal)
      } finally {
        client?.close()
      }
    }
  }
  const done = run()

  return {
    held,
    async set(next) {
      value = next
      if (abort.signal.aborted || written === next) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ttlS * 1000)
        waiting.add(() => {
          clearTimeout(timer)
          resolve()
        })
        wake.give()
      })
    },
    async release() {
      abort.abort()
      wake.give()
      for (const told of waiting) told()
      await done
    },
  }
}

/** Renews a lease; false where etcd has it no more. @throws when etcd does not answer. */
export async function renewLease(
  client: EtcdClient,
  lease: string,
  { timing }: Pick<EtcdOptions, 'timing'>,
): Promise<boolean> {
  const stream = await client.leaseClient.leaseKeepAlive()
  try {
    return await new Promise<boolean>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer in time')), timing?.callMs ?? defaultTiming.callMs)
      const settle = (settled: () => void): void => {
        clearTimeout(timer)
        settled()
      }
      stream.on('data', ({ TTL: ttl }: { readonly TTL: string }) => settle(() => resolve(Number(ttl) > 0)))
      stream.on('error', (error: Error) => settle(() => reject(error)))
      stream.on('end', () => settle(() => reject(new Error('etcd ended the call'))))
      stream.write({ ID: lease })
    })
  } finally {
    stream.cancel()
  }
}
