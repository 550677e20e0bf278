/** The reference proxy of the build in dist/, without the rest of the product in its memory. */
import type * as BootstrapConfigModule from '../../src/cli/bootstrap-config.ts'
import type * as CreateProxyModule from '../../src/proxy/create-proxy.ts'

const load = async (file: string): Promise<unknown> =>
  (await import(new URL(`../../dist/${file}`, import.meta.url).href)) as unknown

const createProxyModule = (await load('proxy/create-proxy.js')) as typeof CreateProxyModule
export const createProxy: typeof CreateProxyModule.createProxy = createProxyModule.createProxy

const bootstrapConfigModule = (await load('cli/bootstrap-config.js')) as typeof BootstrapConfigModule
export const buildBootstrap: typeof BootstrapConfigModule.buildBootstrap = bootstrapConfigModule.buildBootstrap
