import { expect } from 'vitest'
import type { Resource } from '../../src/resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../../src/resource/type-url.ts'
import { setOfResources } from '../../src/snapshot/resource-set.ts'
import { protocols } from '../support/conversation.ts'
import { eventually } from '../support/poll.ts'
import { edsCluster, resource, routeTo } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  removed,
  type Says,
  type Setting,
  type Step,
  server,
  step,
  stream,
  transcript,
  type World,
} from '../support/transcript.ts'
import type { Protocol } from '../support/wire-client.ts'

const mayLag = (protocol: Protocol, more: Partial<Setting> = {}): Setting => ({ protocol, mayLag: true, ...more })

/** The first request of a type by a client that has these, and no others. */
const states = (protocol: Protocol, names: readonly string[], ...had: readonly Resource[]): Says => {
  const [{ typeUrl } = { typeUrl: '' }] = had
  const type = Object.entries(resourceTypes).find(([, known]) => known.typeUrl === typeUrl)?.[0] as ResourceWord
  const initialVersions = Object.fromEntries(had.map(({ name, version }) => [name, version]))
  return protocol === 'sotw'
    ? { type, names, version: setOfResources(typeUrl, had).version }
    : { type, subscribe: names, initialVersions }
}

const asksFor = (protocol: Protocol, type: ResourceWord, names: readonly string[] = []): Says =>
  protocol === 'sotw' ? { type, names, version: '' } : { type, subscribe: names }

const heldBack = ({ server: { status } }: World): readonly string[] =>
  status.nodes().flatMap(({ id, heldBackSince }) => (heldBackSince === undefined ? [] : [id]))

/** Nothing comes of a later request, either: all of them are heard in one go. */
const isHeldBack = (id = 'envoy-1'): Step =>
  step(`${id} is held back`, (world) => eventually(() => heldBack(world).includes(id)).then(() => undefined))

const nobodyIsHeldBack = step('nobody is held back', (world) =>
  eventually(() => heldBack(world).length === 0).then(() => undefined),
)

const nothingIsNewer = step('the sources say that nothing is newer', async ({ questions }) => {
  await eventually(() => questions.length > 0)
  for (const answer of questions.splice(0)) answer()
})

const nothingWasAsked = step('the sources were not asked', ({ questions }) => {
  expect(questions).toEqual([])
})

/** Over delta a client that has everything is told just that. */
const whole = (protocol: Protocol, ...names: readonly (string | Resource)[]): readonly (string | Resource)[] =>
  protocol === 'sotw' ? names : []

const [x1, x2, x3] = [resource('cluster', 'x', 1), resource('cluster', 'x', 2), resource('cluster', 'x', 3)]

for (const protocol of protocols) {
  transcript(
    `rule 87: a client that has something newer is told nothing until that has come, and then nothing else (${protocol})`,
    mayLag(protocol),
    given(x1),
    client(states(protocol, [], x3)),
    isHeldBack(),
    apply(x2),
    isHeldBack(),
    apply(x3),
    accepted({ type: 'cluster', resources: whole(protocol, x3) }),
    nobodyIsHeldBack,
    server.silent(),
  )

  transcript(
    `rule 87: a client that has something older is told what is newer once the sources have said so (${protocol})`,
    mayLag(protocol),
    given(x2),
    client(states(protocol, [], x1)),
    isHeldBack(),
    nothingIsNewer,
    accepted({ type: 'cluster', resources: [x2] }),
    nobodyIsHeldBack,
    // From then on it is as any other.
    apply(x3),
    accepted({ type: 'cluster', resources: [x3] }),
    nothingWasAsked,
    server.silent(),
  )

  transcript(
    `rule 87: the newest of what came while a client was held back is what it is told (${protocol})`,
    mayLag(protocol),
    given(x1),
    client(states(protocol, [], x2, resource('cluster', 'y'))),
    isHeldBack(),
    apply(x2),
    apply(x3),
    apply(resource('cluster', 'z')),
    isHeldBack(),
    nothingIsNewer,
    accepted({ type: 'cluster', resources: [x3, 'z'], removed: protocol === 'delta' ? ['y'] : [] }),
    server.silent(),
  )

  transcript(
    `rule 87: a client that says what is in force, or nothing, is answered at once (${protocol})`,
    mayLag(protocol),
    given(x1, routeTo('r', 'x')),
    client(states(protocol, [], x1)),
    accepted({ type: 'cluster', resources: whole(protocol, x1) }),
    client(states(protocol, ['r'], routeTo('r', 'x'))),
    protocol === 'sotw' ? accepted({ type: 'route', resources: ['r'] }) : [],
    stream('new', { id: 'new', cluster: 'edge' }).client(asksFor(protocol, 'cluster')),
    stream('new').server({ type: 'cluster', resources: [x1] }),
    stream('new').client(ack()),
    nobodyIsHeldBack,
    server.silent(),
    // The first has asked; nobody has answered.
    step('one question is open', ({ questions }) => {
      expect(questions).toHaveLength(1)
    }),
  )

  transcript(
    `rule 87: nothing is asked for a client that has nothing (${protocol})`,
    mayLag(protocol),
    given(x1),
    client(asksFor(protocol, 'cluster')),
    accepted({ type: 'cluster', resources: [x1] }),
    apply(x2),
    accepted({ type: 'cluster', resources: [x2] }),
    server.silent(),
    nothingWasAsked,
  )

  transcript(
    `rule 87: a version that was known here before may be the newest again: A, B, A (${protocol})`,
    mayLag(protocol),
    given(x1),
    client(asksFor(protocol, 'cluster')),
    accepted({ type: 'cluster', resources: [x1] }),
    client.resets(),
    apply(x2),
    // Another replica has told it of the second change, and of the third, which took that back.
    client(states(protocol, [], x1)),
    isHeldBack(),
    apply(x1),
    accepted({ type: 'cluster', resources: whole(protocol, x1) }),
    nothingIsNewer,
    server.silent(),
  )

  transcript(
    `rule 87: a client that has what is in force is not told of a change that is taken back on the way here (${protocol})`,
    mayLag(protocol),
    given(x1),
    client(states(protocol, [], x1)),
    accepted({ type: 'cluster', resources: whole(protocol, x1) }),
    server.silent(),
    apply(x2),
    isHeldBack(),
    apply(x1),
    nobodyIsHeldBack,
    server.silent(),
    apply(x3),
    isHeldBack(),
    nothingIsNewer,
    accepted({ type: 'cluster', resources: [x3] }),
    server.silent(),
  )

  transcript(
    `rule 87: a client that has what is in force is not kept from what comes next for long, though the sources say nothing (${protocol})`,
    mayLag(protocol, { server: { transitionTimeoutMs: 200 } }),
    given(x1),
    client(states(protocol, [], x1)),
    accepted({ type: 'cluster', resources: whole(protocol, x1) }),
    apply(x2),
    accepted({ type: 'cluster', resources: [x2] }),
    nobodyIsHeldBack,
    server.silent(),
  )

  transcript(
    `rule 87: one type that differs holds all of them back (${protocol})`,
    mayLag(protocol),
    given(x1, edsCluster('e'), resource('endpoint', 'e'), routeTo('r', 'x')),
    client(states(protocol, [], x1, edsCluster('e'))),
    server({ type: 'cluster', resources: whole(protocol, 'x', 'e') }),
    client(states(protocol, ['r'], routeTo('r', 'e'))),
    isHeldBack(),
    client(ack({ type: 'cluster' })),
    apply(resource('listener', 'l')),
    nothingIsNewer,
    accepted({ type: 'route', resources: [routeTo('r', 'x')] }),
    server.silent(),
  )

  transcript(
    `rule 87: a client that goes while it is held back is forgotten, and known when it comes again (${protocol})`,
    mayLag(protocol),
    given(edsCluster('x'), resource('endpoint', 'x'), routeTo('r', 'x')),
    client(asksFor(protocol, 'cluster')),
    accepted({ type: 'cluster', resources: ['x'] }),
    client(asksFor(protocol, 'route', ['r'])),
    accepted({ type: 'route', resources: ['r'] }),
    server.silent(),
    client.resets(),
    apply(edsCluster('y'), resource('endpoint', 'y'), routeTo('r', 'y'), removed('cluster', 'x')),
    client(states(protocol, [], edsCluster('x'))),
    isHeldBack(),
    client.resets(),
    step('nobody is here', ({ server: { status } }) => expect(status.nodes()).toEqual([])),
    client(states(protocol, [], edsCluster('x'))),
    isHeldBack(),
    client.leaves(),
    nothingIsNewer,
    client(states(protocol, [], edsCluster('x'))),
    isHeldBack(),
    nothingIsNewer,
    // Over both, as if it had stayed (rule 69).
    server({ type: 'cluster', resources: protocol === 'sotw' ? ['x', 'y'] : ['y'] }),
  )

  const guest = stream('guest', { id: 'envoy-2', cluster: 'edge' })
  transcript(
    `rule 87: a client that was held back is led on from where its group has been meanwhile (${protocol})`,
    mayLag(protocol),
    given(edsCluster('x'), resource('endpoint', 'x'), routeTo('r', 'x')),
    client(asksFor(protocol, 'listener')),
    accepted({ type: 'listener' }),
    guest.client(states(protocol, [], edsCluster('y'))),
    isHeldBack('envoy-2'),
    apply(resource('cluster', 'w')),
    apply(edsCluster('y'), routeTo('r', 'y'), removed('cluster', 'x'), removed('cluster', 'w')),
    apply(edsCluster('z'), routeTo('r', 'z'), removed('cluster', 'y')),
    nothingIsNewer,
    guest.server({ type: 'cluster', resources: protocol === 'sotw' ? ['y', 'z'] : ['z'] }),
    guest.client(states(protocol, ['r'], routeTo('r', 'y'))),
    protocol === 'sotw' ? [guest.server({ type: 'route', resources: [routeTo('r', 'y')] }), guest.client(ack())] : [],
    guest.server.silent(),
  )

  transcript(
    `rules 87 and 88: clients that are held back take no place from those that can be answered (${protocol})`,
    mayLag(protocol, { server: { maxEntering: 1 } }),
    given(x1),
    // Each would hold its place for a second, and none would be left.
    Array.from({ length: 10 }, (_, index) => {
      const one = stream(`held-${index}`, { id: `held-${index}`, cluster: 'edge' })
      return [one.client(states(protocol, [], x2)), isHeldBack(`held-${index}`)]
    }).flat(),
    client(asksFor(protocol, 'cluster')),
    accepted({ type: 'cluster', resources: [x1] }),
    server.silent(),
  )

  transcript(
    `rule 87: a service of one type holds back as well (${protocol})`,
    mayLag(protocol, { service: 'cluster' }),
    given(x2),
    client(states(protocol, [], x1)),
    isHeldBack(),
    nothingIsNewer,
    accepted({ type: 'cluster', resources: [x2] }),
    server.silentToTheEnd(),
  )
}
