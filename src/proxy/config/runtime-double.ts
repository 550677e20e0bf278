import type { Runtime } from '../runtime.ts'
import type { FieldReader } from './field-reader.ts'

/** `envoy.config.core.v3.RuntimeDouble`: a number that an operator may turn while the proxy runs. */
export interface RuntimeDouble {
  readonly byDefault: number
  /** Empty where it may not be turned. */
  readonly runtimeKey: string
}

export function readRuntimeDouble(fields: FieldReader): RuntimeDouble {
  return { byDefault: fields.number('default_value') ?? 0, runtimeKey: fields.string('runtime_key') }
}

export function valueOf({ byDefault, runtimeKey }: RuntimeDouble, runtime: Runtime): number {
  return runtimeKey === '' ? byDefault : runtime.number(runtimeKey, byDefault)
}
