import { type AdminDeps, createAdminServer } from '../../src/admin/server.ts'
import { createSnapshotCache } from '../../src/cache/snapshot-cache.ts'
import { silentLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { HistoryDirectory } from '../../src/snapshot/history/directory.ts'
import { createHistory, type History } from '../../src/snapshot/store.ts'
import { StatusRecorder } from '../../src/xds/status.ts'
import { atTestEnd } from './at-test-end.ts'
import { envoyApi } from './resource.ts'
import { tempDir } from './temp.ts'

/** The admin API by itself, over a status and a history that the test fills. */
export interface AdminBed {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly status: StatusRecorder
  readonly history: History
}

export async function startAdmin(more: Pick<Partial<AdminDeps>, 'replicas'> = {}): Promise<AdminBed> {
  const status = new StatusRecorder()
  const history = await createHistory({ place: new HistoryDirectory(tempDir()), api: envoyApi, log: silentLog })
  atTestEnd(() => history.close())
  const readiness: AdminDeps['readiness'] = {
    isReady: true,
    isServingRestored: false,
    sources: [],
    problems: [],
    revision: 0,
  }
  const deps = {
    readiness,
    cache: createSnapshotCache(),
    status,
    history,
    metrics: createMetrics(),
    version: {},
    log: silentLog,
    ...more,
  }
  const admin = await createAdminServer(deps, { host: '127.0.0.1', port: 0 })
  atTestEnd(() => admin.close())
  return { url: `http://127.0.0.1:${admin.port}`, status, history }
}
