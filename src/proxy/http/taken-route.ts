import type { FormatSubject } from '../access-log/format-subject.ts'
import { type ChosenCluster, chooseCluster } from '../route/cluster-choice.ts'
import { applyHeaderChanges, type HeaderChanges } from '../route/header-changes.ts'
import { FilterSwitch, type RouteAction, type RouteFound } from '../route/route-table.ts'
import type { Headers } from './headers.ts'
import type { SwitchingRoute } from './http-filters.ts'

/** A route that a request takes, with the cluster that chance or hash chose of it. */
export class TakenRoute implements SwitchingRoute {
  readonly found: RouteFound
  readonly action: RouteAction | undefined
  readonly chosen: ChosenCluster | undefined

  constructor(found: RouteFound, request: Headers, random: number, hash: () => bigint | undefined) {
    this.found = found
    const action = found.route?.action
    this.action = action
    if (action?.kind === 'forward') {
      const choice = action.cluster
      const needsHash = choice.kind === 'weighted' && choice.usesHash
      this.chosen = chooseCluster(choice, request, random, needsHash ? hash() : undefined)
    }
  }

  get name(): string {
    return this.found.route?.name ?? ''
  }

  get virtualHost(): string {
    return this.found.virtualHost.name
  }

  get cluster(): string | undefined {
    return this.chosen?.name
  }

  perFilter(filterName: string): readonly unknown[] {
    const configs: unknown[] = []
    for (const level of this.#perFilterMaps()) {
      const own = level.get(filterName)
      const config = own instanceof FilterSwitch ? own.config : own
      if (config !== undefined) configs.push(config)
    }
    return configs
  }

  mostSpecific(filterName: string): unknown {
    let found: unknown
    for (const level of this.#perFilterMaps()) found = level.get(filterName) ?? found
    return found
  }

  /** From the route configuration to the weighted cluster. */
  #perFilterMaps(): readonly ReadonlyMap<string, unknown>[] {
    const { table, virtualHost, route } = this.found
    const maps = [table.level.perFilter, virtualHost.level.perFilter]
    if (route !== undefined) maps.push(route.level.perFilter)
    const weighted = this.chosen?.weighted
    if (weighted !== undefined) maps.push(weighted.perFilter)
    return maps
  }

  /** What the route says of responses, this proxy's own ones too. */
  changeResponse(headers: Headers, subject: FormatSubject): void {
    for (const changes of this.headerChanges('response')) applyHeaderChanges(headers, changes, subject)
  }

  /** In the order in which they apply: what is most specific comes first, or last where it is to win. */
  headerChanges(direction: 'request' | 'response'): readonly HeaderChanges[] {
    const { table, virtualHost, route } = this.found
    const all = [
      this.chosen?.weighted?.[direction],
      route?.level[direction],
      virtualHost.level[direction],
      table.level[direction],
    ].filter((changes) => changes !== undefined)
    return table.mostSpecificWins && all.length > 1 ? all.reverse() : all
  }
}
