/** Of a route: whose circuit breakers its requests count in. */
export type RoutingPriority = 'default' | 'high'
