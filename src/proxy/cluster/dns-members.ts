import type { Timer } from '../../clock.ts'
import { messageOf } from '../../errors.ts'
import type { Assignment, Endpoint, EndpointGroup } from './assignment.ts'
import type { Membership } from './cluster-config.ts'
import type { DnsConfig } from './dns-config.ts'
import type { MemberOwner, MemberSource } from './member-source.ts'
import { createNameResolver, type NameAnswer, type NameResolver } from './name-resolver.ts'
import { nextRefresh } from './refresh-rate.ts'

type DnsMembership = Extract<Membership, { by: 'strict dns' | 'logical dns' }>

/**
 * The endpoints of a cluster whose addresses are names. Strictly: every address that a name leads to is a host of its own.
 * Logically: one host, which is wherever the first address of the last answer is.
 */
export function watchDns({ by, assignment, dns }: DnsMembership, owner: MemberOwner & DnsOwner): MemberSource {
  const { context, stats, sink } = owner
  const resolver = owner.resolver ?? createNameResolver(dns.resolver ?? owner.dns)
  const answers = new Map<Endpoint, readonly string[]>()
  const timers = new Map<Endpoint, Timer>()
  let isClosed = false

  const take = (endpoint: Endpoint, { addresses }: NameAnswer): void => {
    stats.counter('update_success').add()
    answers.set(endpoint, by === 'logical dns' ? addresses.slice(0, 1) : addresses)
    if (!sink.assign(withAnswers(assignment, answers, by === 'logical dns'))) stats.counter('update_no_rebuild').add()
  }
  const lookUp = async (endpoint: Endpoint, failures: number): Promise<void> => {
    const name = endpoint.address.address
    stats.counter('update_attempt').add()
    let answer: NameAnswer | undefined
    try {
      answer = await resolver.resolve(name, dns.family)
    } catch (error) {
      if (!isClosed) context.log.debug({ name, err: messageOf(error) }, 'a name could not be looked up')
    }
    if (isClosed) return
    // A logical host whose name leads nowhere any more stays where it was.
    if (by === 'logical dns' && answer?.addresses.length === 0) answer = undefined
    if (answer === undefined) stats.counter('update_failure').add()
    else take(endpoint, answer)
    sink.settle()
    const failed = answer === undefined ? failures + 1 : 0
    const waitMs = nextRefresh(dns, answer?.ttlMs, failed, context.random)
    timers.set(
      endpoint,
      context.clock.after(waitMs, () => void lookUp(endpoint, failed)),
    )
  }
  const endpoints = assignment.groups.flatMap((group) => group.endpoints)
  for (const endpoint of endpoints) void lookUp(endpoint, 0)
  if (endpoints.length === 0) sink.settle()
  return {
    close() {
      isClosed = true
      for (const timer of timers.values()) timer.cancel()
      resolver.close()
    },
  }
}

export interface DnsOwner {
  /** Of the bootstrap, for clusters that do not say which name servers they ask. */
  readonly dns: DnsConfig['resolver']
  /** In place of both, for tests. */
  readonly resolver?: NameResolver
}

/** The assignment with an endpoint for each address, which bears the name that led there. */
function withAnswers(
  assignment: Assignment,
  answers: ReadonlyMap<Endpoint, readonly string[]>,
  isLogical: boolean,
): Assignment {
  const resolved = (endpoint: Endpoint): readonly Endpoint[] =>
    (answers.get(endpoint) ?? []).map((ip) => ({
      ...endpoint,
      address: { address: ip, port: endpoint.address.port },
      hostname: endpoint.hostname === '' ? endpoint.address.address : endpoint.hostname,
    }))
  const groups = assignment.groups.map(
    (group): EndpointGroup => ({
      ...group,
      priority: isLogical ? 0 : group.priority,
      endpoints: group.endpoints.flatMap(resolved),
    }),
  )
  return { ...assignment, groups }
}
