import { setFlagsFromString } from 'node:v8'

/** How much the heap may grow, in per cent of what is live, before all of it is looked through for garbage. */
const growthPercent = 100

/**
 * Lets V8 collect a serving process in full when its heap has doubled. By itself it decides by how fast the heap fills in
 * wall time: a server that idles between two changes gets 8 MB, and a full collection of all clients' state at every
 * fifth change, which costs as much as three changes do (docs/decisions/0013-heap-room.md).
 */
export function giveHeapRoom(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`)
}
