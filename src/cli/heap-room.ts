import { setFlagsFromString } from 'node:v8'

/** How much the heap may grow, in per cent of what is live, before all of it is looked through for garbage. */
const growthPercent = 100

/**
 * Sets V8's heap up for a server that idles, tells a thousand clients of a change, and idles again (docs/decisions/0013-heap-room.md).
 * Full collections come when the heap has doubled: by itself V8 decides by how fast the heap fills in wall time, and gives 8 MB.
 * And what lives from one change to the next is allocated young, however much of it outlived a connect storm: a dead list in the old
 * space kept every later request of its client, until a full collection came.
 */
export function giveHeapRoom(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`)
  setFlagsFromString('--no-allocation-site-pretenuring')
}
