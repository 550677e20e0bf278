import { describeSource } from '../../test/support/source-suite.ts'
import { createMemorySource } from './memory-source.ts'

describeSource('a memory source', async () => {
  const source = createMemorySource('memory')
  return {
    source,
    idOf: (name) => `memory:${name}`,
    put: async (name, text) => source.put(`memory:${name}`, text),
    remove: async (name) => source.remove(`memory:${name}`),
    apply: async ({ put = {}, remove = [] }) =>
      source.apply({
        put: Object.fromEntries(Object.entries(put).map(([name, text]) => [`memory:${name}`, text])),
        remove: remove.map((name) => `memory:${name}`),
      }),
    fail: async () => source.fail(),
    recover: async () => source.recover(),
    close: async () => {},
  }
})
