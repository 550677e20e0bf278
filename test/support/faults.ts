import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fleet, FleetEnvoy, FleetOptions, Replica } from './fleet.ts'
import { createNamespace, type Namespace } from './network-namespace.ts'
import type { Random } from './random.ts'
import { canMount, createSmallDisk, type SmallDisk } from './small-disk.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { tempDir } from './temp.ts'

/** What the faults have in their hands, for each replica. */
export interface Handles {
  /** The wires from it to the members of etcd. */
  readonly wires: readonly TcpProxy[]
  /** Where its history is. */
  readonly snapshots: string
  /** Undefined where nobody may mount one. */
  readonly disk: SmallDisk | undefined
  /** Undefined for one that is in the test's own network. */
  readonly network: Namespace | undefined
}

export interface Bench {
  readonly fleet: Fleet
  readonly handles: readonly Handles[]
  readonly random: Random
  /** For how long a fault lasts. */
  readonly holdMs: number
}

/** Of what a fault takes hold: two at one time never take hold of the same. */
export type Grip = 'replica' | 'etcd'

export interface Fault {
  readonly name: string
  readonly grip: Grip
  /** Why this machine cannot have it. */
  readonly lacks?: string
  /** Begins it, lets it last, and ends it. Resolves to what is worth a line, with how long each Envoy was without a control plane. */
  readonly run: (bench: Bench) => Promise<Outcome>
}

export interface Outcome {
  readonly whom: string
  readonly reconnectedMs?: readonly number[]
}

const isRoot = process.getuid?.() === 0

/** A tenth of all packets, in each direction. */
const lossRule = '-m statistic --mode random --probability 0.1 -j DROP'

const canLosePackets: boolean =
  isRoot && spawnSync('unshare', ['-n', 'iptables', '-A', 'INPUT', ...lossRule.split(' ')]).status === 0

/** What `startFleet` needs so that faults can happen: wires, disks, clocks, and a network of its own for the last replica. */
export function preparedForFaults(replicas: number): { readonly options: FleetOptions; readonly handles: Handles[] } {
  const handles: Handles[] = []
  const networks = Array.from({ length: replicas }, (_, index) =>
    canLosePackets && index === replicas - 1 ? createNamespace() : undefined,
  )
  const options: FleetOptions = {
    replicas,
    flagsOf: async (index, etcd) => {
      const network = networks[index]
      const wires = await Promise.all(etcd.members.map(({ port }) => startTcpProxy(port, network?.here)))
      const disk = canMount ? createSmallDisk(4 * 1024 * 1024) : undefined
      const snapshots = disk?.path ?? tempDir()
      handles[index] = { wires, snapshots, disk, network }
      const own = `${network?.there ?? '127.0.0.1'}:0`
      return {
        etcd: wires.map(({ endpoint }) => endpoint).join(','),
        snapshots,
        listen: own,
        admin: own,
        rest: 'on',
      }
    },
    processOf: (index) => {
      const network = networks[index]
      return { isHooked: true, ...(network && { node: network.wrap(process.execPath) }) }
    },
  }
  return { options, handles }
}

function replicaOf({ fleet, random }: Bench): Replica {
  return random.pick(fleet.replicas)
}

/** The one with the most Envoys. */
async function crowded({ fleet }: Bench): Promise<Replica> {
  const counted = await Promise.all(
    fleet.replicas.map(async (replica) => ({ replica, count: (await fleet.envoysOf(replica)).length })),
  )
  return counted.reduce((most, candidate) => (candidate.count > most.count ? candidate : most)).replica
}

function handlesOf({ fleet, handles }: Bench, replica: Replica): Handles {
  return handles[fleet.replicas.indexOf(replica)] as Handles
}

/** Ends a replica, waits until its Envoys are elsewhere, and starts it again. */
async function away(bench: Bench, replica: Replica, end: () => Promise<unknown>): Promise<Outcome> {
  const { fleet, holdMs } = bench
  const moving = await fleet.envoysOf(replica)
  const began = performance.now()
  const ended = end()
  const others = fleet.replicas.filter((other) => other !== replica)
  const reconnectedMs = await Promise.all(
    moving.map(async (envoy: FleetEnvoy) => {
      await fleet.isThere(envoy, others)
      return performance.now() - began
    }),
  )
  await ended
  await sleep(Math.max(0, began + holdMs - performance.now()))
  await replica.start()
  return { whom: replica.name, reconnectedMs }
}

/** Turns a bit in the middle of a file, in place. */
function damage(path: string): void {
  const middle = statSync(path).size >> 1
  const file = openSync(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    readSync(file, byte, 0, 1, middle)
    byte[0] = (byte[0] as number) ^ 0x40
    writeSync(file, byte, 0, 1, middle)
  } finally {
    closeSync(file)
  }
}

function damageNewest(directory: string): void {
  const newest = readdirSync(directory)
    .filter((name) => /^\d{8}\.log$/.test(name))
    .sort()
    .at(-1)
  if (newest !== undefined) damage(join(directory, newest))
}

async function jump(bench: Bench, ms: number): Promise<Outcome> {
  const replica = replicaOf(bench)
  await replica.process.ask('jumpClock', ms)
  await sleep(bench.holdMs)
  return { whom: replica.name }
}

const hourMs = 3_600_000

/** Every kind of trouble. */
export const faults: readonly Fault[] = [
  {
    name: 'kill -9',
    grip: 'replica',
    run: async (bench) => {
      const replica = await crowded(bench)
      return await away(bench, replica, () => replica.kill())
    },
  },
  {
    name: 'SIGTERM',
    grip: 'replica',
    run: async (bench) => {
      const replica = await crowded(bench)
      return await away(bench, replica, () => replica.terminate())
    },
  },
  {
    name: "kill -9 of etcd's leader",
    grip: 'etcd',
    run: async ({ fleet: { etcd }, holdMs }) => {
      const leader = await etcd.leader()
      await leader.kill()
      await sleep(holdMs)
      await leader.start()
      return { whom: `etcd ${leader.name}` }
    },
  },
  {
    name: "etcd's leader without the other members",
    grip: 'etcd',
    run: async ({ fleet: { etcd }, holdMs }) => {
      const leader = await etcd.leader()
      etcd.isolate(leader)
      await etcd.leader()
      await sleep(holdMs)
      etcd.mend()
      return { whom: `etcd ${leader.name}` }
    },
  },
  {
    name: "the disk of etcd's leader hangs",
    grip: 'etcd',
    run: async ({ fleet: { etcd }, holdMs }) => {
      const leader = await etcd.leader()
      leader.freeze()
      await sleep(holdMs)
      leader.thaw()
      return { whom: `etcd ${leader.name}` }
    },
  },
  {
    name: 'no connection to etcd',
    grip: 'replica',
    run: async (bench) => {
      const replica = replicaOf(bench)
      const { wires } = handlesOf(bench, replica)
      await Promise.all(wires.map((wire) => wire.cut()))
      await sleep(bench.holdMs)
      await Promise.all(wires.map((wire) => wire.mend()))
      return { whom: replica.name }
    },
  },
  {
    name: 'silence between it and etcd',
    grip: 'replica',
    run: async (bench) => {
      const replica = replicaOf(bench)
      const { wires } = handlesOf(bench, replica)
      for (const wire of wires) wire.freeze()
      await sleep(bench.holdMs)
      await Promise.all(wires.map((wire) => wire.mend()))
      return { whom: replica.name }
    },
  },
  {
    name: 'full disk',
    grip: 'replica',
    ...(!canMount && { lacks: 'lets nobody mount a file system' }),
    run: async (bench) => {
      const replica = replicaOf(bench)
      const { disk } = handlesOf(bench, replica)
      disk?.fill()
      await sleep(bench.holdMs)
      disk?.empty()
      return { whom: replica.name }
    },
  },
  {
    name: 'slow disk',
    grip: 'replica',
    run: async (bench) => {
      const replica = replicaOf(bench)
      await replica.process.ask('slowDisk', 700)
      await sleep(bench.holdMs)
      await replica.process.ask('slowDisk', 0)
      return { whom: replica.name }
    },
  },
  { name: 'clock an hour ahead', grip: 'replica', run: (bench) => jump(bench, hourMs) },
  { name: 'clock an hour back', grip: 'replica', run: (bench) => jump(bench, -hourMs) },
  {
    name: 'damaged history, then kill -9',
    grip: 'replica',
    run: async (bench) => {
      const replica = replicaOf(bench)
      const { snapshots } = handlesOf(bench, replica)
      damageNewest(snapshots)
      return await away(bench, replica, async () => {
        await replica.kill()
        damageNewest(snapshots)
      })
    },
  },
  {
    name: 'a tenth of all packets lost',
    grip: 'replica',
    ...(!canLosePackets && { lacks: 'has no network of its own that loses packets' }),
    run: async (bench) => {
      const replica = bench.fleet.replicas.find((candidate) => handlesOf(bench, candidate).network !== undefined)
      if (replica === undefined) throw new Error('no replica has a network of its own')
      const { network } = handlesOf(bench, replica)
      network?.restore(`*filter\n-A INPUT ${lossRule}\n-A OUTPUT ${lossRule}\nCOMMIT\n`)
      await sleep(bench.holdMs)
      network?.restore('*filter\n-F INPUT\n-F OUTPUT\nCOMMIT\n')
      return { whom: replica.name }
    },
  },
]
