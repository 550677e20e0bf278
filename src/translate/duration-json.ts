/** Protobuf's JSON of a time in milliseconds: `1.5s`. */
export function durationJson(ms: number): string {
  return `${ms / 1000}s`
}
