/** What a gRPC status would be in HTTP, as outlier detection counts it. */
export function grpcStatusToHttp(status: number): number {
  return statuses[status] ?? 500
}

const statuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
]
