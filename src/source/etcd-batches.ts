/** etcd's own limits by default: operations in a transaction, and bytes in a request (1.5 MiB, less what frames it). */
export const maxOperations = 128
export const maxRequestBytes = 1_400_000

/** In their order, as few transactions as the limits allow. */
export function batchesOf<T extends { readonly bytes: number }>(operations: readonly T[]): readonly (readonly T[])[] {
  const batches: T[][] = []
  let bytes = 0
  for (const operation of operations) {
    const current = batches.at(-1)
    bytes += operation.bytes
    if (current !== undefined && current.length < maxOperations && bytes <= maxRequestBytes) current.push(operation)
    else {
      batches.push([operation])
      bytes = operation.bytes
    }
  }
  return batches
}
