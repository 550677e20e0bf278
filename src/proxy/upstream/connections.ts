import type { ProxyContext } from '../proxy-context.ts'
import type { Secrets } from '../secret/secrets.ts'
import type { Connections } from './upstream.ts'

export declare function createConnections(context: ProxyContext, secrets: Secrets): Connections
