/** What went wrong, and whose it is to mend: a `Problem` is the user's to fix, a `ControlPlaneError` is ours to handle. */

export type ErrorCode =
  /** A flag, environment variable or options file that cannot be used. */
  | 'usage'
  /** A file, directory or socket of this machine that cannot be used. */
  | 'io'
  /** A server that does not answer: etcd, or the control plane for a client command. */
  | 'unreachable'
  /** Descriptors that cannot be read. */
  | 'api'
  /** The configuration has errors. */
  | 'config'

/** An error that the program handles or ends with. `code` maps to a status at each edge (exit code, HTTP, gRPC). */
export class ControlPlaneError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'ControlPlaneError'
    this.code = code
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Why `flag` (`--listen`) cannot have its address, and what to do. */
export function listenFailure(flag: string, address: string, cause: unknown): ControlPlaneError {
  const text = messageOf(cause)
  const whys: readonly (readonly [string, string])[] = [
    ['EADDRINUSE', `another program listens there, perhaps another fairlead. Stop it, or give another ${flag}`],
    ['EACCES', `this user may not listen on that port. Give ${flag} a port from 1024 on`],
    ['EADDRNOTAVAIL', 'this machine has no such address. `:PORT` is every IPv4 address that it has'],
    ['ENOTFOUND', 'no such host is known. Give an IP address, or `:PORT` for every IPv4 address of this machine'],
  ]
  const why = whys.find(([code]) => text.includes(code))?.[1] ?? text
  return new ControlPlaneError('io', `${flag} ${address} cannot be listened on: ${why}`, { cause })
}

/** Where a piece of configuration was written. */
export interface Origin {
  /** What a person opens: `config/cart.yaml`, or `etcd:/fairlead/config/cart`. */
  readonly name: string
  /** 1-based; absent where the whole document is meant. */
  readonly line?: number
  /** 1-based, in UTF-16 code units; only with `line`. */
  readonly column?: number
  /** The etcd mod revision that the text was read at. */
  readonly revision?: string
}

/** `cart.yaml:14:5`, or `etcd:/fairlead/config/cart@rev 812:14:5`. */
export function formatOrigin(origin: Origin): string {
  const revision = origin.revision === undefined ? '' : `@rev ${origin.revision}`
  const line = origin.line === undefined ? '' : `:${origin.line}`
  const column = origin.line === undefined || origin.column === undefined ? '' : `:${origin.column}`
  return `${origin.name}${revision}${line}${column}`
}

export type Severity = 'error' | 'warning'

/** Every kind of Problem; docs/errors.md says of each what it means and what to do. */
export type ProblemCode =
  | 'syntax'
  | 'unknown-field'
  | 'wrong-type'
  | 'rule-violation'
  | 'unknown-extension'
  | 'unsupported-kind'
  | 'unsupported-field'
  | 'foreign-kind'
  | 'invalid-selector'
  | 'invalid-name'
  | 'no-effect'
  | 'duplicate'
  | 'dangling-reference'
  | 'unselected-reference'
  | 'missing-assignment'
  | 'no-endpoints'
  | 'unattached'
  | 'unreachable'
  | 'open'
  | 'conflict'
  | 'patch'
  | 'still-needed'
  | 'source-empty'
  | 'source-unreachable'
  | 'file'
  | 'too-large'
  | 'unreadable'
  | 'withheld'
  | 'rejected'
  | 'history'
  | 'fleet'
  | 'usage'

/** Something in the configuration that its author should mend. Never holds the value of a sensitive field. */
export interface Problem {
  /** An error keeps its document from taking effect (it stays as it last was); a warning does not. */
  readonly severity: Severity
  readonly code: ProblemCode
  readonly origin: Origin
  /** The place within the document, as its author wrote it: `resources[1].load_assignment.cluster_name`; '' is the document. */
  readonly path: string
  /** One sentence: what is wrong. */
  readonly message: string
  /** One sentence: what to do. '' where the message says it. */
  readonly fix: string
}

export function isError(problem: Problem): boolean {
  return problem.severity === 'error'
}
