import pino from 'pino'
import { beforeAll } from 'vitest'
import type { Log } from '../../src/log.ts'
import { startEtcd, type TestEtcd } from './etcd.ts'
import { describeWithEtcd } from './needs.ts'

/** Where one test is, in an etcd that it shares with its neighbours. */
export interface EtcdBed {
  readonly etcd: TestEtcd
  /** Its own. */
  readonly prefix: string
  readonly log: Log
  /** What was written to `log`, from `info` on. */
  readonly logged: readonly string[]
}

/** A suite that needs etcd, whose tests `open` a bed each. */
export function describeOnEtcd(name: string, suite: (open: () => EtcdBed) => void): void {
  describeWithEtcd(name, () => {
    let etcd: TestEtcd
    let prefixes = 0

    beforeAll(async () => {
      etcd = await startEtcd()
    })

    suite(() => {
      const logged: string[] = []
      const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
      return { etcd, prefix: `/test-${++prefixes}/`, log, logged }
    })
  })
}
