/** What of the schema is read and checked, and has no translation yet: refused by name until it has one. */
export interface NotYet {
  /** `Mesh` */
  readonly kinds: ReadonlySet<string>
  /** `Service.dns`, after the message and the field as people write it. */
  readonly fields: ReadonlySet<string>
  /** `Service.protocol=tcp` */
  readonly words: ReadonlySet<string>
}

/** The one list: a field leaves it in the change that translates it. */
export const notYet: NotYet = {
  kinds: new Set(['Mesh', 'Sidecar', 'Secret']),
  fields: new Set([
    ...fieldsOf('Service', [
      'address',
      'hosts',
      'dns',
      'registry',
      'loadBalancing',
      'healthCheck',
      'outlierDetection',
      'circuitBreaker',
      'connectionPool',
      'tls',
      'proxyProtocol',
    ]),
    ...fieldsOf('Endpoint', ['region', 'zone', 'subZone', 'priority', 'healthPort', 'hostname']),
    ...fieldsOf('Rule', [
      'redirect',
      'respond',
      'timeout',
      'idleTimeout',
      'retry',
      'mirror',
      'fault',
      'rewrite',
      'headers',
      'hash',
      'fallback',
      'cors',
      'websocket',
      'compression',
      'maxRequestSize',
      'priority',
    ]),
    ...fieldsOf('Match', ['methods', 'headers', 'query', 'cookies', 'grpc', 'percent']),
    ...fieldsOf('TextMatch', ['regex', 'suffix']),
    ...fieldsOf('Backend', ['headers']),
    ...fieldsOf('Gateway', ['accessLog', 'tracing', 'defaults', 'trustedHops']),
    ...fieldsOf('GatewayListener', [
      'tls',
      'service',
      'backends',
      'egress',
      'proxyProtocol',
      'accessLog',
      'http2',
      'maxConnections',
      'maxRequestSize',
      'compression',
      'idleTimeout',
      'requestHeadersTimeout',
      'maxHeaderSize',
    ]),
  ]),
  words: new Set([
    'Service.protocol=tcp',
    'Service.protocol=tls',
    'GatewayListener.protocol=https',
    'GatewayListener.protocol=http2',
    'GatewayListener.protocol=grpc',
    'GatewayListener.protocol=tcp',
    'GatewayListener.protocol=tls',
  ]),
}

/** Nothing is refused but what the schema marks as later. */
export const everything: NotYet = { kinds: new Set(), fields: new Set(), words: new Set() }

function fieldsOf(message: string, fields: readonly string[]): readonly string[] {
  return fields.map((field) => `${message}.${field}`)
}
