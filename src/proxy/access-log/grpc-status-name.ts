/** In the order of their numbers. */
const names = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
]

/** `DeadlineExceeded`, or `DEADLINE_EXCEEDED` in snake case; the number where it has no name. */
export function grpcStatusName(status: number, isSnake = false): string {
  const name = names[status]
  if (name === undefined) return String(status)
  return isSnake ? name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase() : name
}

/** The number of a name in snake case: `UNAVAILABLE`; undefined for one that is none. */
export function grpcStatusNumber(name: string): number | undefined {
  const at = names.findIndex((_, status) => grpcStatusName(status, true) === name)
  return at < 0 ? undefined : at
}
