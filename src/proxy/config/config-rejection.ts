/** A resource that this proxy does not take. Its message is what `error_detail` says, in Envoy's words where it has some. */
export class ConfigRejection extends Error {
  override readonly name = 'ConfigRejection'
}
