import type { EtcdAccess } from './etcd-access.ts'
import type { OptionType, ValueBounds } from './option-value.ts'

/** What `fairlead serve` runs with. Durations are in milliseconds, sizes in bytes; paths are relative to the working directory. */
export interface ServeOptions extends EtcdAccess {
  readonly config: readonly string[]
  readonly etcd: readonly string[]
  readonly etcdPrefix: string
  readonly etcdReadOnly: boolean
  readonly replicaId?: string
  readonly listen: string
  readonly admin: string
  readonly rest: 'auto' | 'on' | 'off'
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsClientCa?: string
  readonly snapshots: string
  readonly historyRevisions: number
  readonly historyBytes: number
  readonly etcdHistoryBytes: number
  readonly envoyApi?: string
  readonly staticNames: Readonly<Record<string, readonly string[]>>
  readonly debounce: number
  readonly debounceMax: number
  readonly ackWait: number
  readonly ackWaitClusters: number
  readonly transitionTimeout: number
  readonly drainTime: number
  readonly drainTimeout: number
  readonly keepaliveTime: number
  readonly keepaliveTimeout: number
  readonly maxConnectionAge: number
  readonly maxReceiveBytes: number
  readonly maxUnflushedBytes: number
  readonly maxFirstAnswers: number
  readonly sotwResume: boolean
  readonly allowPartial: boolean
  readonly allowEmpty: boolean
  readonly allowPlaintextSecrets: boolean
  readonly allowFile: readonly string[]
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly logFormat: 'auto' | 'json' | 'text'
}

export type OptionName = keyof ServeOptions

/** The headings of help and documentation, in order. */
export type OptionGroup =
  | 'Sources'
  | 'Addresses and TLS'
  | 'History'
  | "Envoy's API"
  | 'Timing'
  | 'Limits'
  | 'Safety'
  | 'Log'

/** One option: the flag, the variable, the key of the options file and the documentation all come from it. */
export interface OptionSpec extends ValueBounds {
  readonly name: OptionName
  readonly group: OptionGroup
  readonly type: OptionType
  /** Absent: there is none, and the option may stay unset. */
  readonly default?: unknown
  /** What stands for the value in help: `FILE`; '' for a switch. */
  readonly placeholder: string
  /** For help and documentation, without a full stop. */
  readonly description: string
  /** It has neither a flag nor a variable. */
  readonly isFileOnly?: boolean
}

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Every option of `serve`. */
export const optionTable: readonly OptionSpec[] = [
  {
    name: 'config',
    group: 'Sources',
    type: 'paths',
    default: [],
    placeholder: 'PATH',
    description: 'a directory or file of documents; may be repeated',
  },
  {
    name: 'etcd',
    group: 'Sources',
    type: 'urls',
    default: [],
    placeholder: 'URLS',
    description: 'the endpoints of one etcd cluster that holds documents, with commas between them',
  },
  {
    name: 'etcdPrefix',
    group: 'Sources',
    type: 'text',
    default: '/fairlead/',
    placeholder: 'PREFIX',
    description: 'documents are the keys below PREFIXconfig/',
  },
  {
    name: 'etcdReadOnly',
    group: 'Sources',
    type: 'switch',
    default: false,
    placeholder: '',
    description: 'write nothing to etcd: this replica never leads the others, and they do not hear of it',
  },
  {
    name: 'replicaId',
    group: 'Sources',
    type: 'text',
    placeholder: 'ID',
    description:
      "what this replica is called among those on the same etcd; without it, the machine's name and the port of --listen",
  },
  {
    name: 'etcdCa',
    group: 'Sources',
    type: 'path',
    placeholder: 'FILE',
    description: "the CA bundle that etcd's certificate is checked against; without it, what the machine trusts",
  },
  {
    name: 'etcdCert',
    group: 'Sources',
    type: 'path',
    placeholder: 'FILE',
    description: 'the certificate shown to etcd; needs --etcd-key',
  },
  {
    name: 'etcdKey',
    group: 'Sources',
    type: 'path',
    placeholder: 'FILE',
    description: 'the key of --etcd-cert',
  },
  {
    name: 'etcdUser',
    group: 'Sources',
    type: 'text',
    placeholder: 'NAME',
    description: 'the etcd user; needs --etcd-password-file',
  },
  {
    name: 'etcdPasswordFile',
    group: 'Sources',
    type: 'path',
    placeholder: 'FILE',
    description: 'a file with the password of --etcd-user',
  },
  {
    name: 'listen',
    group: 'Addresses and TLS',
    type: 'address',
    default: '127.0.0.1:18000',
    placeholder: 'HOST:PORT',
    description: 'where Envoys connect (gRPC); :18000 is every IPv4 address of the machine',
  },
  {
    name: 'admin',
    group: 'Addresses and TLS',
    type: 'address',
    default: '127.0.0.1:18001',
    placeholder: 'HOST:PORT',
    description: 'where the read-only HTTP API and the metrics are',
  },
  {
    name: 'rest',
    group: 'Addresses and TLS',
    type: 'choice',
    choices: ['auto', 'on', 'off'],
    default: 'auto',
    placeholder: 'WHEN',
    description: 'REST xDS on the admin address: on, off, or auto: while that address is loopback',
  },
  {
    name: 'tlsCert',
    group: 'Addresses and TLS',
    type: 'path',
    placeholder: 'FILE',
    description:
      'speak TLS on --listen with this certificate; needs --tls-key. A renewed file is taken without a restart',
  },
  {
    name: 'tlsKey',
    group: 'Addresses and TLS',
    type: 'path',
    placeholder: 'FILE',
    description: 'the key of --tls-cert',
  },
  {
    name: 'tlsClientCa',
    group: 'Addresses and TLS',
    type: 'path',
    placeholder: 'FILE',
    description: 'demand of every Envoy a certificate that this CA bundle vouches for',
  },
  {
    name: 'snapshots',
    group: 'History',
    type: 'path',
    default: './snapshots',
    placeholder: 'DIR',
    description: 'where the history of what was in force is kept',
  },
  {
    name: 'historyRevisions',
    group: 'History',
    type: 'count',
    min: 1,
    default: 100,
    placeholder: 'N',
    description: 'how many revisions the history keeps',
  },
  {
    name: 'historyBytes',
    group: 'History',
    type: 'size',
    min: mebibyte,
    default: 256 * mebibyte,
    placeholder: 'SIZE',
    description: 'how large the history may be',
  },
  {
    name: 'etcdHistoryBytes',
    group: 'History',
    type: 'size',
    min: mebibyte,
    default: 32 * mebibyte,
    placeholder: 'SIZE',
    description: "how large the fleet's history in etcd may be, which the replica that leads writes",
  },
  {
    name: 'envoyApi',
    group: "Envoy's API",
    type: 'path',
    placeholder: 'FILE',
    description: 'descriptors that `fairlead api import` wrote; without it, the built-in ones',
  },
  {
    name: 'staticNames',
    group: "Envoy's API",
    type: 'names',
    default: {},
    placeholder: '',
    isFileOnly: true,
    description:
      'names that the bootstraps of the Envoys hold, by type, so that resources may refer to them: {cluster: [xds]}',
  },
  {
    name: 'debounce',
    group: 'Timing',
    type: 'duration',
    default: 50,
    placeholder: 'TIME',
    description: 'how long the sources must be quiet before a change is taken',
  },
  {
    name: 'debounceMax',
    group: 'Timing',
    type: 'duration',
    default: 500,
    placeholder: 'TIME',
    description: 'how long a change waits at most while they are not quiet',
  },
  {
    name: 'ackWait',
    group: 'Timing',
    type: 'duration',
    min: 1,
    default: 5000,
    placeholder: 'TIME',
    description: "how long a push waits at most for the Envoy's answer to the last one of its type",
  },
  {
    name: 'ackWaitClusters',
    group: 'Timing',
    type: 'duration',
    min: 1,
    default: 1000,
    placeholder: 'TIME',
    description: 'the same for clusters, whose answer Envoy holds back while they warm',
  },
  {
    name: 'transitionTimeout',
    group: 'Timing',
    type: 'duration',
    min: 1,
    default: 10_000,
    placeholder: 'TIME',
    description: 'how long a route or listener waits at most for a new cluster that it names to be answered',
  },
  {
    name: 'drainTime',
    group: 'Timing',
    type: 'duration',
    default: 600_000,
    placeholder: 'TIME',
    description:
      'how long an Envoy drains a listener that was replaced (its --drain-time-s): what the old version names stays so long',
  },
  {
    name: 'drainTimeout',
    group: 'Timing',
    type: 'duration',
    default: 10_000,
    placeholder: 'TIME',
    description: 'over how long streams are closed, one by one, after SIGTERM',
  },
  {
    name: 'keepaliveTime',
    group: 'Timing',
    type: 'duration',
    min: 1000,
    default: 30_000,
    placeholder: 'TIME',
    description: 'how often a silent connection is probed',
  },
  {
    name: 'keepaliveTimeout',
    group: 'Timing',
    type: 'duration',
    min: 100,
    default: 10_000,
    placeholder: 'TIME',
    description: 'how long such a probe may take before the connection counts as lost',
  },
  {
    name: 'maxConnectionAge',
    group: 'Timing',
    type: 'duration',
    default: 0,
    placeholder: 'TIME',
    description:
      'after how long, a tenth more or less, an Envoy is sent away to connect anew, so that replicas share the load; 0: never',
  },
  {
    name: 'maxReceiveBytes',
    group: 'Limits',
    type: 'size',
    min: 64 * kibibyte,
    max: 2 ** 31 - 1,
    default: 64 * mebibyte,
    placeholder: 'SIZE',
    description: 'the largest request: a delta client that reconnects lists all that it has',
  },
  {
    name: 'maxUnflushedBytes',
    group: 'Limits',
    type: 'size',
    min: mebibyte,
    default: 64 * mebibyte,
    placeholder: 'SIZE',
    description: 'how much may be on its way to all Envoys together',
  },
  {
    name: 'maxFirstAnswers',
    group: 'Limits',
    type: 'count',
    min: 1,
    default: 100,
    placeholder: 'N',
    description:
      'how many Envoys that have just connected are given their configuration at once; others wait their turn',
  },
  {
    name: 'sotwResume',
    group: 'Limits',
    type: 'switch',
    default: false,
    placeholder: '',
    description: 'spare a SotW client that reconnects with the current version its first clusters and listeners',
  },
  {
    name: 'allowPartial',
    group: 'Safety',
    type: 'switch',
    default: false,
    placeholder: '',
    description: 'after a start with errors, serve also the nodes that a document in error may concern',
  },
  {
    name: 'allowEmpty',
    group: 'Safety',
    type: 'switch',
    default: false,
    placeholder: '',
    description: 'believe a source that has lost all its documents, or never had one',
  },
  {
    name: 'allowPlaintextSecrets',
    group: 'Safety',
    type: 'switch',
    default: false,
    placeholder: '',
    description: 'send secrets without TLS to other machines',
  },
  {
    name: 'allowFile',
    group: 'Safety',
    type: 'paths',
    default: [],
    placeholder: 'DIR',
    description: 'a directory besides its own that the `file:` of a document may lie in; may be repeated',
  },
  {
    name: 'logLevel',
    group: 'Log',
    type: 'choice',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    placeholder: 'LEVEL',
    description: 'debug, info, warn, error or silent',
  },
  {
    name: 'logFormat',
    group: 'Log',
    type: 'choice',
    choices: ['auto', 'json', 'text'],
    default: 'auto',
    placeholder: 'FORMAT',
    description: 'json, text, or auto: text on a terminal',
  },
]

/** `--etcd-prefix`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** `FAIRLEAD_ETCD_PREFIX`. */
export function variableOf(name: string): string {
  return `FAIRLEAD_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}
