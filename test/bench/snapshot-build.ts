import type { BuildCommands, BuildTimes, ChangeTimes } from './build.ts'
import { startChild } from './child.ts'

export interface SnapshotBuildOptions {
  /** How many services, one mesh each. */
  readonly sizes: readonly number[]
  readonly repetitions: number
  /** Changes in one measurement. */
  readonly changes: number
  readonly say: (line: string) => void
}

/** One value per repetition. */
export interface SnapshotBuildFigures {
  readonly services: number
  readonly builds: readonly BuildTimes[]
  readonly changes: readonly ChangeTimes[]
}

/** Measures meshes of several sizes side by side, each in its own process, in turns. */
export async function measureSnapshotBuild(options: SnapshotBuildOptions): Promise<readonly SnapshotBuildFigures[]> {
  const { sizes, repetitions, changes, say } = options
  const meshes = sizes.map((services) => ({
    services,
    child: startChild<BuildCommands>('build.ts'),
    builds: [] as BuildTimes[],
    changes: [] as ChangeTimes[],
  }))
  try {
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      for (const mesh of meshes) mesh.builds.push(await mesh.child.ask('build', mesh.services))
      say(`snapshot build ${repetition} of ${repetitions}`)
    }
    for (let repetition = 0; repetition <= repetitions; repetition++) {
      for (const mesh of meshes) {
        const times = await mesh.child.ask('changes', changes)
        // The first is for the compiler.
        if (repetition > 0) mesh.changes.push(times)
      }
      say(`one endpoint changed, ${repetition} of ${repetitions}`)
    }
    return meshes
  } finally {
    await Promise.all(meshes.map((mesh) => mesh.child.stop()))
  }
}
