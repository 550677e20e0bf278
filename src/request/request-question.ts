/** A request, or a connection, as somebody asks about it. */
export interface RequestQuestion {
  /** A listener by name; without it, the one that takes what is sent to `port`. */
  readonly listener?: string
  readonly method: string
  /** `tcp`: a connection of which nothing is known but where it goes, and the server name of its TLS hello. */
  readonly scheme: 'http' | 'https' | 'tcp'
  /** The Host header: `cart`, `cart:8080`. Of a connection, the address that it goes to. */
  readonly authority: string
  /** With its query, as the client sends it: `/api/x?debug=1`. */
  readonly path: string
  /** In order, names in any case; the same name may come again. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The server name of the TLS hello; without it, for https, the name in `authority`. */
  readonly sni?: string
  /** Where the connection goes; undefined: the scheme's own port, or whatever listener takes such requests. */
  readonly port?: number
}

/** What a proxy would do, and by which of its resources. */
export interface RequestAnswer {
  readonly listener?: ListenerAnswer
  /** The name of the filter chain, where it has one. */
  readonly filterChain?: string
  readonly routeConfiguration?: string
  readonly virtualHost?: string
  /** One, but where chance decides between rules; shares in percent, together 100. */
  readonly outcomes: readonly RequestOutcome[]
  /** Of the rules that were asked before and did not match, or of all where none did, the one that lacked least. */
  readonly nearest?: { readonly route: string; readonly lacks: readonly Lack[] }
  /** What the answer does not take into account. */
  readonly notes: readonly string[]
}

export interface ListenerAnswer {
  readonly name: string
  /** `0.0.0.0:8080`; absent for one that has no address of that kind. */
  readonly address?: string
}

/** A condition that did not hold. */
export interface Lack {
  /** `header x-group: beta` */
  readonly needs: string
  /** `you sent none` */
  readonly got: string
}

export interface RequestOutcome {
  /** In percent. */
  readonly share: number
  /** The route's name, or `routes[3]` where it has none. */
  readonly route?: string
  /** What it matches, for people: `prefix /api, header x-group: beta`. */
  readonly match?: string
  /** `closed`: the connection is. `unknown`: something decides that only a proxy can know. */
  readonly action: 'forward' | 'redirect' | 'respond' | 'not-found' | 'closed' | 'unknown'
  /** Of a redirect, or of a response that the proxy itself gives. */
  readonly status?: number
  readonly location?: string
  readonly body?: string
  /** As the upstream gets it; absent where it gets what the client sent. */
  readonly path?: string
  readonly host?: string
  /** Of a whole request: `2s`; `none`. */
  readonly timeout?: string
  /** `3 on 5xx (GET, HEAD)` */
  readonly retries?: string
  readonly clusters: readonly ClusterShare[]
  readonly mirrors: readonly { readonly name: string; readonly share: number }[]
  /** Why nothing matched, or what is not known. */
  readonly why?: string
}

export interface ClusterShare {
  readonly name: string
  /** Of what takes this route, in percent. */
  readonly share: number
  /** False for one that the proxy does not have: 503. */
  readonly exists: boolean
  /**
   * Of one that is told no endpoints: it looks up the name that it is asked for, goes where the connection was going, or is of
   * the bootstrap, which says where.
   */
  readonly finds?: 'by-name' | 'by-destination' | 'by-bootstrap'
  readonly endpoints: readonly EndpointAnswer[]
}

export interface EndpointAnswer {
  /** `10.0.0.11:8080` */
  readonly address: string
  readonly region?: string
  readonly zone?: string
  /** In lower case; absent where nothing was said of it. */
  readonly health?: string
  /** Above 0: only when those before are down. */
  readonly priority?: number
}
