import type { FieldReader } from '../config/field-reader.ts'
import { FilterSwitch } from '../route/route-table.ts'
import { discoveredFilterKind, type ReadFilter, readDiscoveredFilter } from './discovered-filter.ts'
import type { FilterOwner, HttpFilter, HttpFilterKind, RouteTaken } from './http-filter.ts'

/** One filter of a connection manager, or of an upgrade, as its configuration says it. */
export interface FilterEntry {
  /** By which routes know it. */
  readonly name: string
  readonly kind: HttpFilterKind
  readonly config: unknown
  /** Only routes that say something of it have it. */
  readonly isDisabled: boolean
}

/** `…http_connection_manager.v3.HttpFilter`; undefined where it was refused. */
export function readFilterEntry(fields: FieldReader, kinds: readonly HttpFilterKind[]): FilterEntry | undefined {
  fields.ignore('is_optional', 'a filter that is not known is refused, never left out')
  const byType: Record<string, (config: FieldReader) => ReadFilter> = {}
  for (const kind of kinds) byType[kind.type] = (config) => ({ kind, config: kind.read(config) })
  const read = fields.any<ReadFilter>('typed_config', byType)
  const discovered = fields.message('config_discovery', (inner) => readDiscoveredFilter(inner, byType))
  const name = fields.string('name')
  const isDisabled = fields.flag('disabled')
  if (discovered !== undefined) {
    return { name, isDisabled, kind: discoveredFilterKind as HttpFilterKind, config: discovered }
  }
  if (read === undefined) return undefined
  return { name, isDisabled, ...read }
}

/** A filter of a connection manager that makes its part of each stream. */
export interface RunningFilter {
  readonly name: string
  readonly isDisabled: boolean
  make(): HttpFilter
}

export function createFilters(entries: readonly FilterEntry[], owner: FilterOwner): readonly RunningFilter[] {
  return entries.map(({ name, kind, config, isDisabled }) => ({
    name,
    isDisabled,
    make: kind.create(config, name, owner),
  }))
}

/** The filters that a stream passes: a route may switch each off, and one that is off on. */
export function filtersFor(
  filters: readonly RunningFilter[],
  route: SwitchingRoute | undefined,
): readonly HttpFilter[] {
  const passed: HttpFilter[] = []
  for (const filter of filters) {
    if (isPassed(filter, route)) passed.push(filter.make())
  }
  return passed
}

/** Of a route, with whatever `typed_per_filter_config` says in its general form. */
export interface SwitchingRoute extends RouteTaken {
  /** The most specific that says something of that filter. */
  mostSpecific(filterName: string): unknown
}

function isPassed({ name, isDisabled }: RunningFilter, route: SwitchingRoute | undefined): boolean {
  const own = route?.mostSpecific(name)
  if (own instanceof FilterSwitch) return !own.isDisabled
  return own !== undefined || !isDisabled
}
