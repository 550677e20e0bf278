import type { Locality } from '../proxy-context.ts'
import type { FieldReader } from './field-reader.ts'

/** What is nowhere in particular. */
export const noLocality: Locality = { region: '', zone: '', subZone: '' }

/** `envoy.config.core.v3.Locality` */
export function readLocality(fields: FieldReader): Locality {
  return { region: fields.string('region'), zone: fields.string('zone'), subZone: fields.string('sub_zone') }
}

/** Equal for equal localities, and for no others. */
export function localityKey({ region, zone, subZone }: Locality): string {
  return JSON.stringify([region, zone, subZone])
}
