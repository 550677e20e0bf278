import type { HttpFilterKind } from '../http/http-filter.ts'
import type { RoutedStream } from '../http/routed-stream.ts'
import { type RouterConfig, readRouterConfig } from './router-config.ts'
import { RouterStream } from './router-stream.ts'

/** The last filter: it answers every request, by what an upstream says or by itself. */
export const routerFilter: HttpFilterKind<RouterConfig> = {
  type: 'envoy.extensions.filters.http.router.v3.Router',
  isTerminal: true,
  read: readRouterConfig,
  create(config, _name, owner) {
    const filter = {
      onRequest(stream: unknown): false {
        new RouterStream(stream as RoutedStream, config, owner).start()
        return false
      },
    }
    return () => filter
  },
}
