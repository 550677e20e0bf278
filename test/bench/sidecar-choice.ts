import { type Child, startChild } from './child.ts'
import type { ProductCommands } from './product.ts'
import type { SidecarMeshShape } from './sidecar-mesh.ts'

/** By what proxies are chosen: how long a Sidecar takes that comes to all others, in milliseconds each. */
export type SidecarChoiceFigures = Readonly<Record<'cluster' | 'metadata', readonly number[]>>

/** A Sidecar more, in turns: among those that are chosen by their cluster, and among those by metadata. */
export async function measureSidecarChoice(
  shape: SidecarMeshShape,
  times: number,
  say: (line: string) => void,
): Promise<SidecarChoiceFigures> {
  const children: Record<keyof SidecarChoiceFigures, Child<ProductCommands>> = {
    cluster: startChild<ProductCommands>('product.ts'),
    metadata: startChild<ProductCommands>('product.ts'),
  }
  const figures = { cluster: [] as number[], metadata: [] as number[] }
  const ways = ['cluster', 'metadata'] as const
  try {
    for (const chosenBy of ways) await children[chosenBy].ask('serve', { ...shape, chosenBy })
    for (let done = 0; done <= times; done++) {
      for (const way of ways) {
        const ms = await children[way].ask('addSidecar', done)
        // The first is for the compiler.
        if (done > 0) figures[way].push(ms)
      }
    }
    say('sidecars added')
    return figures
  } finally {
    await Promise.all(ways.map((way) => children[way].stop()))
  }
}
