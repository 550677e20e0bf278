import type { InstanceForm } from '../instance-form.ts'
import type { KindForm } from '../kind-form.ts'
import type { MeshForm } from '../mesh-form.ts'
import type { JsonPatchStep, PatchForm } from '../patch-form.ts'
import type { Plain } from '../plain-message.ts'
import type { SecretForm } from '../secret-form.ts'
import type { SidecarForm } from '../sidecar-form.ts'
import { type Check, exactlyOne, given } from './check.ts'
import { checkAccessLog, checkEgress, checkRouteDefaults, checkTracing } from './check-common.ts'
import { checkGateway } from './check-gateway.ts'
import { checkName, checkReserved, checkUnique } from './check-names.ts'
import { checkRoute } from './check-route.ts'
import { checkEndpoint, checkPolicy, checkService } from './check-service.ts'

/**
 * What the schema cannot say: which fields go together, what names may be.
 * @param plain what the form was made of.
 */
export function checkForm(check: Check, form: KindForm, plain: Plain): void {
  if (form.kind !== 'Instance') checkName(check, 'name', form.name)
  switch (form.kind) {
    case 'Mesh':
      return checkMesh(check, form)
    case 'Service':
      return checkService(check, form)
    case 'Route':
      return checkRoute(check, form, plain['rules'] as readonly object[])
    case 'Gateway':
      return checkGateway(check, form)
    case 'Sidecar':
      return checkSidecar(check, form)
    case 'Secret':
      return checkSecret(check, form)
    case 'Patch':
      return checkPatch(check, form, plain)
    case 'Instance':
      return checkInstance(check, form)
  }
}

function checkMesh(check: Check, form: MeshForm): void {
  checkAccessLog(check, 'accessLog', form.accessLog)
  checkTracing(check, 'tracing', form.tracing)
  checkRouteDefaults(check, 'defaults', form.defaults)
  if (form.defaults?.service !== undefined) checkPolicy(check, 'defaults.service', form.defaults.service)
  checkEgress(check, 'egress', form.egress)
}

function checkSidecar(check: Check, form: SidecarForm): void {
  checkReserved(check, 'name', form.name, ['mesh'])
  if (form.service !== undefined) checkName(check, 'service', form.service)
  for (const [index, { service }] of form.inbound.entries()) {
    if (service === undefined) {
      const message = 'It is not said which Service the requests are for.'
      check.error(`inbound[${index}]`, message, 'Add `service` here, or to the Sidecar.')
    } else {
      checkName(check, `inbound[${index}].service`, service)
    }
  }
  const { inbound, outbound } = form
  checkUnique(
    check,
    inbound.map(({ port }) => String(port)),
    (index) => `inbound[${index}].port`,
  )
  if (inbound.every(({ service }) => service !== undefined)) {
    checkUnique(
      check,
      inbound.map(({ service }) => service),
      (index) => `inbound[${index}].service`,
    )
  }
  if (outbound?.port !== undefined && inbound.some(({ port }) => port === outbound.port)) {
    check.error('outbound.port', 'Requests come in on this port.', 'Write another.')
  }
  if (form.capture !== 'iptables') checkByPorts(check, form)
  for (const [index, name] of (outbound?.services ?? []).entries())
    checkName(check, `outbound.services[${index}]`, name)
  checkEgress(check, 'outbound.egress', outbound?.egress)
  checkAccessLog(check, 'accessLog', form.accessLog)
  checkRouteDefaults(check, 'defaults', form.defaults)
}

/** Where a connection was going is known only of one that was captured. */
function checkByPorts(check: Check, { outbound, inbound, ipv6 }: SidecarForm): void {
  const fix = 'Remove it, or add `capture: iptables`.'
  if (outbound?.port !== undefined) {
    check.error('outbound.port', 'With `capture: ports` each Service has its own port, and this one no effect.', fix)
  }
  if (outbound?.unknown === 'allow') {
    check.error('outbound.unknown', 'With `capture: ports` nobody knows where a host of no Service is.', fix)
  }
  if (ipv6 === true && inbound.length === 0) {
    check.error('ipv6', 'With `capture: ports` it is for what comes in, and nothing does.', fix)
  }
}

function checkInstance(check: Check, form: InstanceForm): void {
  checkName(check, 'service', form.service)
  if (form.name.startsWith(`${form.service}/`)) {
    checkName(check, 'name', form.name.slice(form.service.length + 1))
  } else {
    check.error('name', 'An instance is called after its service.', 'Write `<service>/<instance>`.', 'invalid-name')
  }
  checkEndpoint(check, 'endpoint', form.endpoint)
}

function checkSecret(check: Check, form: SecretForm): void {
  exactlyOne(check, '', form, ['certificate', 'ca'])
}

function checkPatch(check: Check, form: PatchForm, plain: Plain): void {
  exactlyOne(check, '', plain, ['merge', 'jsonPatch', 'insertBefore', 'insertAfter', 'remove'])
  const { change, at } = form
  const [beside] = given(plain, ['insertBefore', 'insertAfter', 'remove'])
  if (at === undefined && beside !== undefined) {
    const what = beside === 'remove' ? 'is taken out' : 'it goes beside'
    check.error('', `It is not said what ${what}.`, 'Add `at`, such as `at: {httpFilter: …}`.')
  }
  if (at !== undefined && given(at, Object.keys(at)).length === 0) {
    check.error('at', '`at` names nothing.', 'Add a name, or remove it.')
  }
  if (plain['remove'] === false) check.error('remove', '`remove: false` has no effect.', 'Remove it.')
  if (!('jsonPatch' in change)) return
  for (const [index, step] of change.jsonPatch.entries()) checkStep(check, `jsonPatch[${index}]`, step)
}

function checkStep(check: Check, path: string, step: JsonPatchStep): void {
  for (const field of ['path', 'from'] as const) {
    const pointer = step[field]
    if (pointer === undefined || pointer === '' || /^\/([^~]|~[01])*$/.test(pointer)) continue
    check.error(
      `${path}.${field}`,
      'This is no JSON pointer.',
      'Write names after `/`: `/circuit_breakers/thresholds/0`.',
    )
  }
  const needed = ['move', 'copy'].includes(step.op) ? 'from' : step.op === 'remove' ? undefined : 'value'
  if (needed !== undefined && step[needed] === undefined) {
    check.error(path, `\`${step.op}\` needs \`${needed}\`.`, `Add \`${needed}\`.`)
  }
  for (const field of given(step, ['from', 'value']).filter((name) => name !== needed)) {
    check.error(`${path}.${field}`, `\`${field}\` has no effect with \`${step.op}\`.`, 'Remove it.')
  }
}
