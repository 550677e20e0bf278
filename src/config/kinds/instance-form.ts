import type { NamedForm } from './common-form.ts'
import type { Endpoint } from './service-form.ts'

/** One endpoint that registered itself. Its name is `<service>/<instance>`. */
export interface InstanceForm extends NamedForm<'Instance'> {
  readonly service: string
  readonly endpoint: Endpoint
}
