/** As the product has it in `serve`: the floor has the same, without the rest of the product in its memory. */
import type * as HeapRoomModule from '../../src/cli/heap-room.ts'

const file = new URL('../../dist/cli/heap-room.js', import.meta.url).href
const heapRoomModule = (await import(file)) as typeof HeapRoomModule
export const giveHeapRoom: typeof HeapRoomModule.giveHeapRoom = heapRoomModule.giveHeapRoom
