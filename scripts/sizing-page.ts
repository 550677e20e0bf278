/** docs/sizing.md: what the rows of docs/benchmarks.md make of a fleet. */

/** What a server of so many clients was measured to take. */
interface Measured {
  readonly clients: number
  /** Clients that one core tells of a change in a second. */
  readonly toldPerSecond: number
  /** Clients that one core gives all first answers in a second, to a process that has just started. */
  readonly takenPerSecond: number
  readonly lastAckMs: number
  readonly stormMs: number
  readonly liveKB: number
  readonly peakKB: number
  readonly peakMB: number
  readonly pushKB: number
  readonly firstKB: number
}

/** A plan of so many proxies, with so many changes a second that go to each of them. */
interface Plan {
  readonly changes: number
  /** At each replica when one is lost. */
  readonly each: number
  readonly replicas: number
}

const fleet = 100_000
/** Of one core, for changes; the rest is for those who come, and for the machine. */
const busy = 0.5
/** Files that a server has open besides. */
const otherFiles = 200

/** @throws Error for benchmarks without the rows of `npm run bench -- --only clients` */
export function sizingPage(benchmarks: string): string {
  const [few, many] = measuredIn(benchmarks)
  const worst = {
    toldPerSecond: Math.min(few.toldPerSecond, many.toldPerSecond),
    takenPerSecond: Math.min(few.takenPerSecond, many.takenPerSecond),
    peakKB: Math.max(few.peakKB, many.peakKB),
    baseMB: Math.max(few.peakMB - (few.peakKB * few.clients) / 1000, many.peakMB - (many.peakKB * many.clients) / 1000),
    pushKB: many.pushKB,
    firstKB: many.firstKB,
  }
  const plans = [0.1, 1, 5].map((changes): Plan => {
    const each = Math.min(many.clients, Math.floor((busy * worst.toldPerSecond) / changes / 100) * 100)
    return { changes, each, replicas: Math.ceil(fleet / each) + 1 }
  })
  const cell = (of: (plan: Plan) => string): string => plans.map(of).join(' | ')
  const machine = /^Machine: (.+)\.$/m.exec(benchmarks)?.[1] ?? ''
  const row = (what: string, of: (measured: Measured) => string): string => `| ${what} | ${of(few)} | ${of(many)} |`
  const cpuS = (plan: Plan): number => plan.each / worst.toldPerSecond
  const memoryMB = (plan: Plan): number => worst.baseMB + (plan.each * worst.peakKB) / 1000
  const lostS = (plan: Plan): number => fleet / plan.replicas / (plan.replicas - 1) / worst.takenPerSecond
  const allS = (plan: Plan): number => fleet / plan.replicas / worst.takenPerSecond
  return `<!-- Made by \`npm run docs\` of docs/benchmarks.md. Do not edit: a test compares this page with it. -->

# Sizing

What a server costs, what that makes for your fleet, and a plan for ${count(fleet)} proxies. All figures are of [benchmarks.md](benchmarks.md), by
\`npm run bench\` on the machine that stands there (${machine}). Run it on yours.

## Measured

Delta, one connection and one aggregated stream for each client, 100 clusters of 10 endpoints and a listener; a change moves one endpoint, and every client
is told of it.

| of one server | ${count(few.clients)} clients | ${count(many.clients)} clients |
|---|---:|---:|
${row('clients that one core tells of a change, a second', (one) => count(one.toldPerSecond))}
${row('clients that one core gives their first answers, a second', (one) => count(one.takenPerSecond))}
${row('one change, to the last ACK (the clients share the cores)', ({ lastAckMs }) => time(lastAckMs / 1000))}
${row('all come at once to a new process, to the last ACK (the same)', ({ stormMs }) => time(stormMs / 1000))}
${row('live memory of a client', ({ liveKB }) => `${round(liveKB)} kB`)}
${row('memory of the process at its peak', ({ peakMB }) => memory(peakMB))}
${row('the same, of each client', ({ peakKB }) => `${round(peakKB)} kB`)}
${row('a change to one client, on the wire', ({ pushKB }) => `${round(pushKB)} kB`)}
${row('the first answers to one client', ({ firstKB }) => `${round(firstKB)} kB`)}

- Without TLS: in a storm its handshakes come on top, and were not measured.
- A server does its work in one thread: it is sized by one core. Give it a second one, for garbage collection.
- SotW costs as much among 100 clusters, and about twice as much among 1,000, all of whose names each ACK lists; a changed cluster or listener it sends together with
  all others. Prefer delta (\`fairlead bootstrap --delta\`).
- What goes to fewer is cheaper by as much. A mesh whose Sidecars say what they call is told of nothing else: there a change goes to the callers of
  one Service, and not to the fleet.

## Formulae

*E* proxies; *R* replicas, of which one may be lost: *e* = *E* / (*R* − 1) at each; *d* changes a second, each to the share *f* of the fleet.

| | |
|---|---|
| CPU of a replica, in cores | *e* · *f* · *d* / ${count(worst.toldPerSecond)}; keep it below ${busy} |
| a change to the last proxy | the debounce (50 ms, at most 500), the build, and *e* · *f* / ${count(worst.toldPerSecond)} s |
| memory of a replica at its peak | ${memory(worst.baseMB)}, your configuration, and *e* · ${round(worst.peakKB)} kB |
| network of a replica for a change | *e* · *f* · the bytes of what changed (${round(worst.pushKB)} kB for ten endpoints) |
| all come back at once | *e* / ${count(worst.takenPerSecond)} s, for ${round(worst.firstKB)} kB of first answers each |
| open files | *e* + ${otherFiles} |
| etcd | 3 *R* watches, of which a change is one event to *R*; about 1.3 *R* small calls a second (leases, who leads, who is there); everything is read when a replica starts or its watch breaks, and one count when proxies come that have other versions. The leader writes what changed once more below \`good/\` and \`history/\` |

\`--max-first-answers\` (100) stays as it is: who waits costs a connection, and more at once is hardly faster and takes more memory. Bytes of the first answers
grow with what a proxy is told: ask \`fairlead_response_bytes_total\` of a proxy that has just come.

## ${count(fleet)} proxies

Changes that each go to every proxy, one replica lost, at most ${busy} of a core for changes, and no more clients to a server than were measured (${count(many.clients)}).

| changes a second, each to all | ${cell(({ changes }) => String(changes))} |
|---|${plans.map(() => '---:').join('|')}|
| replicas | ${cell(({ replicas }) => String(replicas))} |
| proxies at each, one replica lost | ${cell(({ each }) => count(each))} |
| CPU of each | ${cell((plan) => `${round(cpuS(plan) * plan.changes)} cores`)} |
| a change to the last proxy, after its build | ${cell((plan) => time(cpuS(plan)))} |
| memory of each at its peak, without your configuration | ${cell((plan) => memory(memoryMB(plan)))} |
| network of each for changes | ${cell((plan) => `${round((plan.each * worst.pushKB * plan.changes) / 1000)} MB/s`)} |
| a replica is lost: its proxies at the others | ${cell((plan) => time(lostS(plan)))} |
| all replicas start anew: all proxies back | ${cell((plan) => time(allS(plan)))} |
| first answers in that time, in all | ${cell(() => `${round((fleet * worst.firstKB) / 1e6)} GB`)} |
| open files of each | ${cell(({ each }) => count(each + otherFiles))} |
| etcd: watches, and calls a second | ${cell(({ replicas }) => `${3 * replicas}, ${round(1.3 * replicas)}`)} |

- \`ulimit -n\` (\`LimitNOFILE=\`) above the open files; Node raises the soft limit by itself, as far as the hard one.
- Name all replicas in the bootstraps, or balance connections; \`--max-connection-age 1h\` evens out what a restart made uneven.
- Upgrade one replica at a time: that is "a replica is lost", once for each.
- The times of storms are for all in one moment. Envoys that failed once wait longer and longer, each by chance, up to half a minute.
- Each replica holds the whole configuration. A hundred thousand Sidecar documents were not measured; of [2,000](benchmarks.md) the first build takes seconds, and it
  grows with their number. Proxies that are alike share one Sidecar, by \`node.cluster\` or metadata, and cost nothing more.
`
}

/** The smallest and the largest of the fleets that were measured. */
function measuredIn(benchmarks: string): readonly [Measured, Measured] {
  const products = new Map(
    [...benchmarks.matchAll(/^\| (fleet, delta, .+?) \| (.*?) \|/gm)].map(([, what = '', product = '']) => [
      what,
      product,
    ]),
  )
  const labels = [...new Set([...products.keys()].map((what) => what.slice(0, what.indexOf(':'))))]
  const all = labels.map((label): Measured => {
    const find = (pattern: string): readonly [string, number] => {
      const [what, product] = [...products].find(([key]) => key.replace(/ \(.*/, '') === `${label}: ${pattern}`) ?? []
      if (what === undefined) throw new Error(`docs/benchmarks.md has no row "${label}: ${pattern}"`)
      return [what, Number.parseFloat(product ?? '')]
    }
    const kBIn = (what: string): number => Number(/\(([\d.]+) kB\)/.exec(what)?.[1])
    const [told, toldPerSecond] = find('clients that one core tells of a change')
    const [taken, takenPerSecond] = find('clients that one core takes in a cold storm')
    return {
      clients: Number(/(\d+) clients/.exec(label)?.[1]),
      toldPerSecond,
      takenPerSecond,
      lastAckMs: find('one endpoint change to the last ACK')[1],
      stormMs: find('cold storm to the last ACK')[1],
      liveKB: find('live memory per client')[1],
      peakKB: find('peak memory of the process per client')[1],
      peakMB: find('peak memory of the process')[1],
      pushKB: kBIn(told),
      firstKB: kBIn(taken),
    }
  })
  const [few, many] = [all[0], all.at(-1)]
  if (few === undefined || many === undefined)
    throw new Error('docs/benchmarks.md has no rows of fleets: npm run bench')
  return [few, many]
}

/** To two digits: no measurement is worth more. */
const round = (value: number): string => String(Number(value.toPrecision(2)))
const count = (value: number): string => Number(value.toPrecision(3)).toLocaleString('en-US')
const time = (seconds: number): string => (seconds < 1 ? `${round(seconds * 1000)} ms` : `${round(seconds)} s`)
const memory = (mb: number): string => (mb < 1000 ? `${round(mb)} MB` : `${round(mb / 1000)} GB`)
