import { Counter, collectDefaultMetrics, Gauge, Histogram, type Metric, Registry } from 'prom-client'
import { fairleadVersion, ownBuild } from './own-version.ts'

/** Everything that `/metrics` shows. One per control plane; docs/operations.md says what each is good for. */
export interface Metrics {
  readonly registry: Registry
  /** Open xDS streams. */
  readonly streams: Gauge<'protocol'>
  /** Streams that wait for their turn to be given their first answers. */
  readonly waitingStreams: Gauge
  /** Streams that are held back until it is known that what is in force is not older than what their clients have. */
  readonly fencedStreams: Gauge
  /** Node ids by which several clients go. */
  readonly sharedNodeIds: Gauge
  /** Responses written to clients. */
  readonly responses: Tally<'type' | 'protocol'>
  /** Bytes of responses written to clients. */
  readonly responseBytes: Tally<'type' | 'protocol'>
  /** Delta responses without bodies, for resources with a TTL. */
  readonly heartbeats: Tally<'type'>
  readonly acks: Tally<'type'>
  /** Rejections by clients: any increase wants a look at `fairlead nodes`. */
  readonly nacks: Tally<'type'>
  /** Resources that connected nodes rejected and do not get until they change, each node's for itself. */
  readonly rejectedResources: Reading<'type'>
  /** From the newest response of a type to its ACK. */
  readonly ackSeconds: Times<'type'>
  /** From the change that a source saw to the snapshot that holds it, the debounce included. */
  readonly buildSeconds: Histogram
  /** Builds that changed what is in force. */
  readonly builds: Counter
  /** Standing problems of the configuration. */
  readonly problems: Reading<'severity'>
  /** Documents in force. */
  readonly documents: Gauge
  /** Groups that are not answered. */
  readonly withheldGroups: Gauge
  /** 1 while a source can be read, 0 while it cannot. */
  readonly sourceUp: Gauge<'source'>
  /** The newest revision of this server's history. */
  readonly revision: Gauge
  /** 1 while the history is written to disk, 0 while it is kept in memory. */
  readonly historyUp: Reading<never>
  /** 1 in the replica that leads those on the same etcd, 0 in the others; nothing without etcd. */
  readonly leader: Reading<never>
  /** Replicas on the same etcd, this one included; nothing without etcd. */
  readonly replicas: Reading<never>
  /** When the certificate of the xDS server ends, in seconds since 1970; nothing without TLS. */
  readonly certificateExpiry: Reading<never>
}

/** One row of a `Tally`: whoever holds it adds to `value`. */
export interface TallyCell {
  value: number
}

/** A counter that is added to for every response, and read by prom-client only when somebody asks. */
export interface Tally<Label extends string> {
  /** The same object for equal labels. */
  cell(labels: Readonly<Record<Label, string>>): TallyCell
}

function createTally<Label extends string>(config: {
  readonly name: string
  readonly help: string
  readonly labelNames: Label[]
  readonly registers: Registry[]
}): Tally<Label> {
  const cells = createCells(config.labelNames, (labels) => ({ labels, value: 0 }))
  const counter: Counter<Label> = new Counter({
    ...config,
    collect() {
      counter.reset()
      for (const { labels, value } of cells.values()) counter.inc(labels, value)
    },
  })
  return cells
}

/** Rows that are made when they are first asked for: the same object for equal labels. */
function createCells<Label extends string, Cell>(
  labelNames: readonly Label[],
  make: (labels: Readonly<Record<Label, string>>) => Cell,
): { cell(labels: Readonly<Record<Label, string>>): Cell; values(): Iterable<Cell> } {
  const cells = new Map<string, Cell>()
  return {
    cell(labels) {
      const key = labelNames.map((name) => labels[name]).join('\0')
      const cell = cells.get(key) ?? make(labels)
      cells.set(key, cell)
      return cell
    },
    values: () => cells.values(),
  }
}

/** A gauge that is read from its owner, and only when somebody asks. */
export interface Reading<Label extends string> {
  from(read: () => ReadonlyMap<Readonly<Record<Label, string>>, number>): void
}

function createReading<Label extends string>(config: {
  readonly name: string
  readonly help: string
  readonly labelNames: Label[]
  readonly registers: Registry[]
}): Reading<Label> {
  let read: Parameters<Reading<Label>['from']>[0] = () => new Map()
  const gauge: Gauge<Label> = new Gauge({
    ...config,
    collect() {
      gauge.reset()
      // A gauge without labels is 0 then, which would be said of what is not there.
      if (config.labelNames.length === 0) gauge.remove()
      for (const [labels, value] of read()) gauge.set(labels, value)
    },
  })
  return {
    from(given) {
      read = given
    },
  }
}

/** One row of `Times`. */
export interface TimesCell {
  observe(seconds: number): void
}

/** A histogram that is added to for every ACK, which is too often for prom-client's, that looks for the row by its labels. */
export interface Times<Label extends string> {
  /** The same object for equal labels. */
  cell(labels: Readonly<Record<Label, string>>): TimesCell
}

class TimesRow implements TimesCell {
  readonly #labels: Readonly<Record<string, string>>
  readonly #bounds: readonly number[]
  /** Of each bucket alone; the last is of all above the highest bound. */
  readonly #counts: number[]
  #sum = 0

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.#labels = labels
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(seconds: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && seconds > (this.#bounds[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#sum += seconds
  }

  /** As Prometheus wants them: each bucket counts all below it. */
  values(name: string): object[] {
    const labels = this.#labels
    let count = 0
    const buckets = this.#counts.map((own, index) => {
      count += own
      const le = this.#bounds[index] ?? '+Inf'
      return { labels: { le, ...labels }, value: count, metricName: `${name}_bucket` }
    })
    return [
      ...buckets,
      { labels, value: this.#sum, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    ]
  }
}

function createTimes<Label extends string>(config: {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly Label[]
  readonly buckets: readonly number[]
  readonly registers: readonly Registry[]
}): Times<Label> {
  const { name, help, labelNames, buckets } = config
  const rows = createCells(labelNames, (labels) => new TimesRow(labels, buckets))
  const metric = {
    name,
    get: () => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: [...rows.values()].flatMap((row) => row.values(name)),
    }),
  }
  // The declared type is that of the library's own classes; of one of them it calls no more than this.
  for (const register of config.registers) register.registerMetric(metric as unknown as Metric)
  return rows
}

/** Always 1, so that any other metric can be joined with what the server is. */
function tellBuild(registers: Registry[]): void {
  const labels = { version: fairleadVersion, commit: ownBuild.commit, node: process.version }
  const help = 'What this server is; always 1'
  new Gauge({ name: 'fairlead_build_info', help, labelNames: Object.keys(labels), registers }).set(labels, 1)
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  tellBuild(registers)
  const streams = new Gauge({ name: 'fairlead_streams', help: 'Open xDS streams', labelNames: ['protocol'], registers })
  // That nobody has come since a restart is to be seen, too.
  for (const protocol of ['sotw', 'delta']) streams.set({ protocol }, 0)
  return {
    registry,
    streams,
    waitingStreams: new Gauge({
      name: 'fairlead_waiting_streams',
      help: 'xDS streams that wait for their first answers',
      registers,
    }),
    fencedStreams: new Gauge({
      name: 'fairlead_fenced_streams',
      help: 'xDS streams held back until what is in force is known to be the newest',
      registers,
    }),
    sharedNodeIds: new Gauge({
      name: 'fairlead_shared_node_ids',
      help: 'Node ids by which several clients go',
      registers,
    }),
    responses: createTally({
      name: 'fairlead_responses_total',
      help: 'xDS responses sent',
      labelNames: ['type', 'protocol'],
      registers,
    }),
    responseBytes: createTally({
      name: 'fairlead_response_bytes_total',
      help: 'Bytes of xDS responses sent',
      labelNames: ['type', 'protocol'],
      registers,
    }),
    heartbeats: createTally({
      name: 'fairlead_heartbeats_total',
      help: 'Delta responses that only extend TTLs',
      labelNames: ['type'],
      registers,
    }),
    acks: createTally({ name: 'fairlead_acks_total', help: 'xDS responses accepted', labelNames: ['type'], registers }),
    nacks: createTally({
      name: 'fairlead_nacks_total',
      help: 'xDS responses rejected',
      labelNames: ['type'],
      registers,
    }),
    rejectedResources: createReading({
      name: 'fairlead_rejected_resources',
      help: 'Resources that connected nodes rejected and do not get until they change',
      labelNames: ['type'],
      registers,
    }),
    ackSeconds: createTimes({
      name: 'fairlead_ack_seconds',
      help: 'Time from a response to its ACK',
      labelNames: ['type'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60],
      registers,
    }),
    buildSeconds: new Histogram({
      name: 'fairlead_build_seconds',
      help: 'Time from a change in a source to its snapshot',
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    builds: new Counter({ name: 'fairlead_builds_total', help: 'Builds that changed what is in force', registers }),
    problems: createReading({
      name: 'fairlead_problems',
      help: 'Standing problems',
      labelNames: ['severity'],
      registers,
    }),
    documents: new Gauge({ name: 'fairlead_documents', help: 'Documents in force', registers }),
    withheldGroups: new Gauge({ name: 'fairlead_withheld_groups', help: 'Groups that are not answered', registers }),
    sourceUp: new Gauge({
      name: 'fairlead_source_up',
      help: '1 while the source can be read',
      labelNames: ['source'],
      registers,
    }),
    revision: new Gauge({ name: 'fairlead_revision', help: 'Newest revision of the history', registers }),
    historyUp: createReading({
      name: 'fairlead_history_up',
      help: '1 while the history is written to disk',
      labelNames: [],
      registers,
    }),
    leader: createReading({
      name: 'fairlead_leader',
      help: '1 in the replica that leads those on the same etcd, 0 in the others',
      labelNames: [],
      registers,
    }),
    replicas: createReading({
      name: 'fairlead_replicas',
      help: 'Replicas on the same etcd, this one included',
      labelNames: [],
      registers,
    }),
    certificateExpiry: createReading({
      name: 'fairlead_certificate_expiry_timestamp_seconds',
      help: 'When the certificate of the xDS server ends',
      labelNames: [],
      registers,
    }),
  }
}
