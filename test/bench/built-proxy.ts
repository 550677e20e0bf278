/** The reference proxy of the build in dist/, without the rest of the product in its memory. */
import type * as CreateProxyModule from '../../src/proxy/create-proxy.ts'

const file = new URL('../../dist/proxy/create-proxy.js', import.meta.url).href
const createProxyModule = (await import(file)) as typeof CreateProxyModule
export const createProxy: typeof CreateProxyModule.createProxy = createProxyModule.createProxy
