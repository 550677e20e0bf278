/** The parts of `envoy.config.core.v3.Node` that the control plane uses. */
export interface Node {
  readonly id: string
  readonly cluster: string
  /** `node.metadata` as plain JSON. */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly locality?: { readonly region: string; readonly zone: string; readonly subZone: string }
  readonly userAgentName: string
  readonly userAgentVersion: string
  /** `node.client_features`, e.g. `xds.config.resource-in-sotw` (rule 81). */
  readonly clientFeatures: readonly string[]
  /** Names that the bootstrap itself holds, per type word: `node.metadata.fairlead.static: {cluster: [xds]}`. */
  readonly staticNames: Readonly<Record<string, readonly string[]>>
}
