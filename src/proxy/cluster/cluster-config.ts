/** A cluster as its configuration says it; what it holds grows with what this proxy does. */
export interface ClusterConfig {
  readonly name: string
  readonly connectTimeoutMs: number
}
