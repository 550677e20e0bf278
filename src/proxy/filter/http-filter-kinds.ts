import type { HttpFilterKind } from '../http/http-filter.ts'
import { bufferFilter } from './buffer.ts'
import { compressorFilter } from './compressor.ts'
import { corsFilter } from './cors.ts'
import { dynamicForwardProxyFilter } from './dynamic-forward-proxy.ts'
import { faultFilter } from './fault.ts'
import { headerMutationFilter } from './header-mutation.ts'
import { localRateLimitFilter } from './local-rate-limit.ts'
import { rbacFilter } from './rbac.ts'

/** The filters that a connection manager may have before its router. */
export const httpFilterKinds: readonly HttpFilterKind[] = [
  bufferFilter,
  compressorFilter,
  corsFilter,
  dynamicForwardProxyFilter,
  faultFilter,
  headerMutationFilter,
  localRateLimitFilter,
  rbacFilter,
]
