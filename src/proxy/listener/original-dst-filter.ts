import type { ListenerFilterKind } from './listener-filter.ts'

/**
 * Where the client wanted to go before it was redirected. Node cannot ask the kernel for that (`SO_ORIGINAL_DST`), so a
 * redirection by iptables' REDIRECT is not undone: the address that the connection came to stays what it is, as in Envoy
 * where nothing was redirected, or was by TPROXY.
 */
export const originalDstFilter: ListenerFilterKind = {
  type: 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst',
  read: () => () => ({ inspect: () => Promise.resolve(true) }),
}
