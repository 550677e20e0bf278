import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take ten seconds or more: one of them that begins last is waited for alone. */
const longest = [
  'e2e/mesh/mesh-suite',
  'e2e/mesh/gateway',
  'e2e/demo',
  'e2e/restart',
  'e2e/random-transitions',
  'e2e/moves',
  'e2e/ttl',
  'e2e/main-job',
  'e2e/never-warm',
  'src/source/etcd-source',
  'fuzz/requests',
].map((path) => `/${path}.test.ts`)

/** Lets the longest files of a project begin first, on a machine that has never run them, too. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const rank = longest.findIndex((path) => moduleId.endsWith(path))
      return rank < 0 ? longest.length : rank
    }
    const groupOf = ({ project }: TestSpecification): string => `${project.config.sequence.groupOrder} ${project.name}`
    const groups = [...new Set(sorted.map(groupOf))]
    return sorted.toSorted((a, b) => groups.indexOf(groupOf(a)) - groups.indexOf(groupOf(b)) || rankOf(a) - rankOf(b))
  }
}
