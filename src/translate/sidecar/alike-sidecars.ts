import { blanks, fillBlanks } from '../build-alike.ts'
import type { GeneratedJson, SidecarInput } from '../contract.ts'
import { anyone } from '../envoy-json.ts'
import { buildSidecar } from './build-sidecar.ts'

/**
 * What a Sidecar becomes, each resource also with blanks for its name and its Service's: thousands of sidecars differ by
 * nothing else. The JSON itself is made when somebody asks for it.
 */
export function buildAlikeSidecar(input: SidecarInput): readonly GeneratedJson[] {
  const { sidecar } = input
  const { name, service = name } = sidecar.form
  let own: readonly GeneratedJson[] | undefined
  return buildSidecar(withBlanks(input)).map((one, index): GeneratedJson => {
    return {
      type: one.type,
      name: fillBlanks(one.name, [name, service]),
      from: { document: sidecar, path: one.from.path },
      alike: { json: one.json, names: [name, service] },
      get json() {
        own ??= buildSidecar(input)
        return own[index]?.json ?? null
      },
    }
  })
}

function withBlanks({ sidecar, outbound, services, mesh }: SidecarInput): SidecarInput {
  const { form } = sidecar
  const [name, service] = blanks
  const ownService = form.service
  const named = (text: string): string =>
    text.startsWith(`${form.name}/`) ? name + text.slice(form.name.length) : text
  const { egress, passthrough, routes } = outbound
  return {
    mesh,
    sidecar: {
      ...sidecar,
      key: anyone.document.key,
      form: {
        ...form,
        name,
        ...(ownService !== undefined && {
          service,
          inbound: form.inbound.map((one) => (one.service === ownService ? { ...one, service } : one)),
        }),
      },
    },
    outbound: {
      ...outbound,
      routes: named(routes),
      passthrough: passthrough && named(passthrough),
      egress: egress && { ...egress, cluster: named(egress.cluster) },
    },
    services: { get: (wanted) => services.get(wanted === service && ownService !== undefined ? ownService : wanted) },
  }
}
