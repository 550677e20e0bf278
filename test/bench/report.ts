import { markdownTable, type Row } from './table.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly node: string
  readonly grpc: string
}

/** docs/benchmarks.md. */
export function report(rows: readonly Row[], machine: Machine): string {
  return `# Benchmarks

Written by \`npm run bench -- --write\`; do not edit. It ends with 1 when a ratio is over its limit.

Machine: ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB; Node ${machine.node}, grpc-js ${machine.grpc}.
Servers and clients share its cores, so the times to the last ACK are those of a crowded machine; CPU is what counts.

${markdownTable(rows)}

## What is measured

**Product**: the build in \`dist/\` in a process of its own, from YAML documents in a memory source over the pipeline
(without debounce and without history) to the streams, with metrics and with the log at \`info\`.

**Floor**: a process on the same grpc-js with the same channel options, which reads of each request the type and the
nonce (with a reader of its own that steps over everything else) and writes prebuilt bytes, as many as the product.

**Clients**: a third process, 1,000 clients, each with a TCP connection and one aggregated stream. They ask as Envoy does:
clusters by wildcard, then the assignments by their names; listeners by wildcard, then the route configurations by their
names. Every response is ACKed, in SotW with all names. They name no extensions in their node, which an Envoy does.

**Mesh**: N services, each a document with an EDS cluster and an assignment of 10 endpoints; a listener and a route
configuration for every 100.

- *CPU per client* is user and system time of the whole server process, garbage collection included, over the clients. One
  value is the mean of 10 changes, and the table shows the median of 5 values; product and floor take turns. Both let their
  heap double before a full collection, as \`fairlead serve\` does (docs/decisions/0013-heap-room.md).
- *Connect storm*: all clients connect at once, and each gets its first four answers and ACKs them.
- *All come back at once*: 5,000 clients that were connected have gone, and all connect again in the same moment. The first
  answer is counted from the client's side, the connection included. Peak memory is the largest resident size in the life
  of the process; beside it stands its size when all are settled.
- *Memory per client*: live objects and buffers after garbage collection, what each of the last 500 clients added to them.
- *fleet, delta, N clients*: two processes of clients, and product and floor in turns, each with N clients of its own. *One core tells*:
  the second of a CPU over what the process took for one client; the median of 10 changes. *Cold storm*: all clients come at once to a
  process that has served nobody yet. *Peak memory per client*: the largest resident size in the life of the process, less what it was
  before they came. The ratio is the product's cost over the floor's: docs/sizing.md plans a fleet by these rows.
- *One endpoint change among N services*: from the source's event to the snapshot that a watch is handed, the median of 5
  means of 100 changes. In place of the floor stands the smaller mesh.

**Mesh in documents of kinds** (rows that begin with *mesh*): 1,000 Services of two endpoints each, a Route for every tenth
of them, and 2,000 Sidecars, each for one proxy, once with five Services in \`outbound.services\` and once without. 2,000
clients in delta, one for each Sidecar, ask for what such an Envoy asks for.

- *Snapshots from YAML*: in a process that has just started, until there is a snapshot for every sidecar.
- *One endpoint change, one route change*: the document of a Service or a Route is written again; the median of 20 (one, where
  all share their routes). It goes to the sidecars that call the Service, and CPU is that of the process for all of them.
- *One Mesh change*: what all sidecars log is another, so each has another listener. Until all is made anew no stream is heard;
  in place of the floor stands what the first snapshots took.
- *One sidecar more*: 20 Sidecars come one after the other, the median, among 2,000 whose \`nodes\` name metadata. In place of
  the floor stand as many whose \`nodes\` name a cluster.
- *Against istiod's*: in place of the floor stands what Istio's page on performance and scalability gives for one istiod with
  1,000 services and 2,000 sidecars: 1.5 GB of memory and 1 vCPU. It does not say how often anything changes there; here ten
  endpoints move a second, and CPU is the process's over that time.
- *CPU against istiod's where sidecars call all* has no limit, and is for information: each of the ten changes a second goes to all
  2,000 sidecars, which is 20,000 answers and as many ACKs a second, about what one core can do; nothing says that istiod's 1 vCPU
  did as much. Sidecars that say what they call have the limit.
- *First answers to a sidecar that calls 5 of 1000 services against all*: bytes on the wire. In place of the floor stands a
  sidecar that may call everything.

**Proxies** (rows that begin with *reference proxy*): 32 connections, each with one request under way, to an app of raw sockets
that answers at once with 1 kB; each proxy in a process of its own with the same configuration, in turns, the median of 5
rounds of 2 s. Clients and app share one process and the other core, so the proxy is what is slow.

- *Node's http*: the few lines that hand a request on with \`http.createServer\`, \`http.request\` and a keep-alive agent.
- *What it adds to the p99*: at 300 requests a second over the same connections, less what the app without a proxy takes.

**Many proxies in one process** (rows that begin with *reference proxies*): 1,000 with a connection and a delta stream each to one
server, and 100 clusters of 10 endpoints, a listener and its routes each; 50 at a time are started.

- *Until one is live*: 15 that are started one after the other, the median, each with a stock Envoy after it, from the start of
  its process.
- *Against 2 GB*: the largest resident size in the life of the process.
`
}
