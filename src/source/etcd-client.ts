import { readFileSync } from 'node:fs'
import type { Etcd3, IOptions } from 'etcd3'
import { messageOf } from '../errors.ts'

/** Where etcd is, and how one is let in. */
export interface EtcdOptions {
  /** `http://127.0.0.1:2379`; without a scheme it is http. All of one cluster. */
  readonly endpoints: readonly string[]
  /** Documents are the keys below `<prefix>config/`. */
  readonly prefix?: string
  /** Paths of PEM files; read for every new connection, so a renewed certificate is taken then. */
  readonly tls?: EtcdTlsOptions
  readonly auth?: { readonly user: string; readonly password: string }
  readonly timing?: Partial<EtcdTiming>
  /** A page of documents that would be larger is read in smaller ones; 32 MiB by default. */
  readonly maxAnswerBytes?: number
}

export interface EtcdTlsOptions {
  /** What etcd's certificate is checked against; absent: what the machine trusts. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** In milliseconds. */
export interface EtcdTiming {
  /** For one answer, the connection included. */
  readonly callMs: number
  /** A watch on which nothing came for so long is pinged (etcd forbids less than 5 s by default)… */
  readonly keepaliveMs: number
  /** …and is given up without an answer in this time. */
  readonly keepaliveTimeoutMs: number
}

/** A silent partition shows after 8 s + 4 s, and one more call of 5 s makes sure: under 20 s. */
export const defaultTiming: EtcdTiming = { callMs: 5_000, keepaliveMs: 8_000, keepaliveTimeoutMs: 4_000 }

export const defaultPrefix = '/fairlead/'

/** What stands below the prefix: documents, and what instances of services registered. */
export type EtcdFolder = 'config' | 'endpoints'

/** Everything of one fleet stands below this. A prefix without its slash gets one. */
export function fleetPrefix({ prefix = defaultPrefix }: Pick<EtcdOptions, 'prefix'>): string {
  return prefix.endsWith('/') ? prefix : `${prefix}/`
}

/** The keys below this hold documents, or instances. */
export function folderPrefix(options: Pick<EtcdOptions, 'prefix'>, folder: EtcdFolder): string {
  return `${fleetPrefix(options)}${folder}/`
}

/** The keys below this hold documents. */
export function configPrefix(options: Pick<EtcdOptions, 'prefix'>): string {
  return folderPrefix(options, 'config')
}

/** How the id of every document of such a source begins. */
export function etcdIdPrefix(options: Pick<EtcdOptions, 'prefix'>, folder: EtcdFolder = 'config'): string {
  return `etcd:${folderPrefix(options, folder)}`
}

/** One connection to one endpoint, let in. */
export interface EtcdClient extends Pick<Etcd3, 'kv' | 'watchClient' | 'leaseClient'> {
  /** Ends every call that still runs. */
  close(): void
}

type CallOptions = Exclude<NonNullable<IOptions['defaultCallOptions']>, (...args: never[]) => unknown>
type Interceptor = NonNullable<CallOptions['interceptors']>[number]
type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>

/** gRPC's own limit of 4 MiB is less than a page of documents may have. */
const defaultMaxAnswerBytes = 32 * 1024 * 1024

interface Cancellable {
  cancelWithStatus(status: number, details: string): void
}

/** gRPC's status code of a call that its client gave up. */
const cancelled = 1

/**
 * Connects to one endpoint; when `signal` aborts, the client closes. The password is exchanged for a token once, here: callers make a new client after any failure, so
 * that no token, channel or back-off state outlives what went wrong.
 * @throws when a file of `tls` cannot be read, or etcd does not let the user in or does not answer.
 */
export async function connectEtcd(options: EtcdOptions, endpoint: string, signal?: AbortSignal): Promise<EtcdClient> {
  const timing = { ...defaultTiming, ...options.timing }
  const { tls, auth } = options
  let token: string | undefined
  /** Those that still run: a lease that is renewed for weeks makes many. */
  const calls = new Set<Cancellable>()
  // etcd cancels a watch with this header when its member loses the leader; without it, the watch falls silent.
  const prepare: Interceptor = (callOptions, nextCall) => {
    const call = nextCall(callOptions) as ReturnType<Interceptor>
    calls.add(call)
    const start = call.start.bind(call)
    call.start = (metadata, listener) => {
      metadata.set('hasleader', 'true')
      if (token !== undefined) metadata.set('token', token)
      start(metadata, {
        onReceiveMetadata: (received) => listener?.onReceiveMetadata?.(received),
        onReceiveMessage: (message: unknown) => listener?.onReceiveMessage?.(message),
        onReceiveStatus(status) {
          calls.delete(call)
          // The library would ask again at once, with the same token, and again, without end.
          const details = status.details.replace('etcdserver: invalid auth token', 'the token has ended')
          listener?.onReceiveStatus?.({ ...status, details })
        },
      })
    }
    return call
  }
  const read = (path: string): Buffer => readFileSync(path)
  const library = await import('etcd3')
  signal?.throwIfAborted()
  const client = new library.Etcd3({
    hosts: endpoint,
    ...(tls !== undefined && {
      credentials: {
        // etcd3 asks for one; gRPC takes what the machine trusts when there is none.
        rootCertificate: (tls.ca === undefined ? undefined : read(tls.ca)) as Buffer,
        ...(tls.cert !== undefined && { certChain: read(tls.cert) }),
        ...(tls.key !== undefined && { privateKey: read(tls.key) }),
      },
    }),
    defaultCallOptions: ({ isStream }) => ({
      interceptors: [prepare],
      ...(!isStream && { deadline: Date.now() + timing.callMs }),
    }),
    grpcOptions: {
      // Only while calls run: etcd hangs up on clients that ping an idle connection.
      'grpc.keepalive_time_ms': timing.keepaliveMs,
      'grpc.keepalive_timeout_ms': timing.keepaliveTimeoutMs,
      'grpc.max_receive_message_length': options.maxAnswerBytes ?? defaultMaxAnswerBytes,
      // Connections shared by the process would share their back-off too.
      'grpc.use_local_subchannel_pool': 1,
      // A TXT record that nobody has: where the name server forwards to one that is silent, a command would wait 25 s for that.
      'grpc.service_config_disable_resolution': 1,
    },
    faultHandling: { global: once, host: () => once },
  })
  const close = (): void => {
    signal?.removeEventListener('abort', close)
    for (const call of calls) call.cancelWithStatus(cancelled, 'the client is closed')
    client.close()
  }
  signal?.addEventListener('abort', close, { once: true })
  try {
    if (auth !== undefined) {
      token = (await client.auth.authenticate({ name: auth.user, password: auth.password })).token
    }
    return { kv: client.kv, watchClient: client.watchClient, leaseClient: client.leaseClient, close }
  } catch (error) {
    close()
    throw error
  }
}

/** What went wrong, without what differs from try to try: the same failure has the same text. Never holds a password. */
export function etcdFailure(error: unknown): string {
  const text = messageOf(error)
  const connection = /Last error: ([^]+?)\s*(?:\(\d{4}-[^)]*\))?\. Resolution note/.exec(text)?.[1]
  if (connection !== undefined) return wordsOf(connection)
  if (text.includes('DEADLINE_EXCEEDED')) return 'no answer in time'
  return text.replace(/^(\w*Error: )?(\d+ [A-Z_]+: )?/, '')
}

/** OpenSSL says what etcd told it between numbers, functions and files: `…:error:0A000412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate:…`. */
function wordsOf(failure: string): string {
  const told = /error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(failure)?.[1]
  return told === undefined ? failure.replace(/^Error: /, '') : `TLS fails: ${told}`
}

/** The user may not do that, or may not see that. */
export function isForbidden(error: unknown): boolean {
  return messageOf(error).includes('permission denied')
}

/** No retry and no circuit breaker: the caller knows better when to try what again. */
const once = {
  onSuccess: () => ({ dispose: () => {} }),
  onFailure: () => ({ dispose: () => {} }),
  execute: async <T>(call: (context: { signal: AbortSignal }) => PromiseLike<T> | T): Promise<T> =>
    await call({ signal: new AbortController().signal }),
} as unknown as Policy
