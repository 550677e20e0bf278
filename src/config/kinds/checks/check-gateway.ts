import type { GatewayForm, GatewayListener } from '../gateway-form.ts'
import { type Check, exactlyOne, given } from './check.ts'
import { checkAccessLog, checkBackends, checkEgress, checkRouteDefaults, checkTracing } from './check-common.ts'
import { checkHosts, checkName, checkNamesIn, checkReserved, checkUnique } from './check-names.ts'

export function checkGateway(check: Check, form: GatewayForm): void {
  checkReserved(check, 'name', form.name, ['mesh'])
  checkAccessLog(check, 'accessLog', form.accessLog)
  checkTracing(check, 'tracing', form.tracing)
  checkRouteDefaults(check, 'defaults', form.defaults)
  for (const [index, listener] of form.listeners.entries()) checkListener(check, `listeners[${index}]`, listener)
  checkUnique(
    check,
    form.listeners.map(({ name }) => name),
    (index) => `listeners[${index}].name`,
  )
}

const httpOnly = ['http2', 'maxRequestSize', 'compression', 'requestHeadersTimeout', 'maxHeaderSize']

function checkListener(check: Check, path: string, listener: GatewayListener): void {
  const { protocol } = listener
  checkName(check, `${path}.name`, listener.name)
  const isConnection = protocol === 'tcp' || protocol === 'tls'
  for (const field of given(listener, isConnection ? httpOnly : ['service', 'backends'])) {
    const fix = isConnection ? 'Remove it.' : 'Remove it, and name the Gateway in a Route.'
    check.error(`${path}.${field}`, `\`${field}\` has no effect on a listener of protocol \`${protocol}\`.`, fix)
  }
  if (protocol === 'tcp') exactlyOne(check, path, listener, ['service', 'backends'])
  if (protocol === 'tls') checkByName(check, path, listener)
  if (protocol === 'tcp') {
    for (const field of given(listener, ['hosts', 'egress'])) {
      const message = `A connection of protocol \`tcp\` says no host, so \`${field}\` has no effect.`
      check.error(`${path}.${field}`, message, 'Remove it, or use the protocol `tls`, which goes by SNI.')
    }
  }
  checkTls(check, path, listener)
  checkHosts(check, `${path}.hosts`, listener.hosts, true)
  if (listener.service !== undefined) checkName(check, `${path}.service`, listener.service)
  checkBackends(check, `${path}.backends`, listener.backends ?? [])
  checkEgress(check, `${path}.egress`, listener.egress)
  checkAccessLog(check, `${path}.accessLog`, listener.accessLog)
}

/** TLS that is passed on goes by SNI, which says a host and no port. */
function checkByName(check: Check, path: string, listener: GatewayListener): void {
  exactlyOne(check, path, listener, ['service', 'backends', 'egress'])
  const { egress, hosts } = listener
  if (egress === undefined) return
  if (hosts !== undefined) {
    check.error(`${path}.hosts`, 'The hosts are those of `egress`, so `hosts` has no effect.', 'Remove it.')
  }
  if ((egress.ports?.length ?? 0) > 1) {
    const message = 'Clients of TLS say no port, so that there can be one only.'
    check.error(`${path}.egress.ports`, message, 'Keep one of them, or use the protocol `http` and CONNECT.')
  }
}

function checkTls(check: Check, path: string, { protocol, tls }: GatewayListener): void {
  if (protocol === 'https' && tls === undefined) {
    check.error(path, 'A listener of protocol `https` needs `tls`.', 'Add `tls: {secret: …}`.')
  }
  if (tls === undefined) return
  if (protocol !== 'https') {
    const message = `\`tls\` has no effect on a listener of protocol \`${protocol}\`.`
    check.error(`${path}.tls`, message, 'Write `protocol: https`, or remove it.')
  }
  for (const [index, name] of tls.secret.entries()) checkName(check, `${path}.tls.secret[${index}]`, name)
  checkNamesIn(check, `${path}.tls`, tls, ['clientCa'])
}
