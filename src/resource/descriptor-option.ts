import { type AnyDesc, getOption, hasOption } from '@bufbuild/protobuf'
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import type { EnvoyApi } from './envoy-api.ts'

/** The value of an option of ours to read (`validate.rules`, `udpa.annotations.sensitive`); undefined where it is not set. */
export function optionOf(api: EnvoyApi, element: AnyDesc, option: string): unknown {
  const extension = api.registry.getExtension(option)
  // The library's types tie an option to the one kind of descriptor that it extends, which a name found at run time cannot show.
  if (!extension || !hasOption(element as never, extension as never)) return undefined
  const value: unknown = getOption(element as never, extension as never)
  return extension.fieldKind === 'message' ? reflectOption(extension.message, value) : value
}

function reflectOption(desc: Parameters<typeof reflect>[0], value: unknown): ReflectMessage {
  return reflect(desc, value as never, false)
}
