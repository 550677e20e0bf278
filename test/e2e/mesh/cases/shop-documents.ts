/** The documents that most cases begin with. */

/** A Service with an endpoint for each app, labelled `version: <app>`, and a version of each app's name. */
export function service(name: string, apps: readonly string[], more = ''): string {
  const endpoints = apps.map((app) => `- {address: 127.0.0.1, port: \${${app}}, labels: {version: ${app}}}`)
  const versions = apps.map((app) => `${app}: {version: ${app}}`)
  return `kind: Service\nname: ${name}\nendpoints:\n${endpoints.join('\n')}\nversions: {${versions.join(', ')}}\n${more}`
}

export const gateway = `kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: http, address: 127.0.0.1, port: \${edge}}
`

/** That Gateway with a log of each request: its status, how long it took, and what Envoy says was wrong with it. */
export const loggingGateway: string = `${gateway}accessLog:
  path: \${log}
  fields: {path: "%REQ(:PATH)%", status: "%RESPONSE_CODE%", tookMs: "%DURATION%", flags: "%RESPONSE_FLAGS%"}
`

/** A Route of the gateway for every host. */
export function route(name: string, rules: string): string {
  return `kind: Route\nname: ${name}\ngateways: edge\nrules:\n${rules.trim()}\n`
}

/** For each Service a path of its name. */
export function routeByPath(...services: readonly string[]): string {
  return route('shop', services.map((name) => `- {match: {path: {prefix: /${name}}}, backends: ${name}}`).join('\n'))
}

/** No endpoint is taken out in the middle of what is counted. */
export const calm = 'outlierDetection: off\n'
