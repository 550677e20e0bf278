import type { Problem } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { type MapEntry, type MapTree, type Tree, type TreeProblem } from '../../resource/tree.ts'
import type { Document } from '../../source/source.ts'
import type { ParsedDocument } from '../config-document.ts'
import { parseYaml } from '../yaml-tree.ts'
import { rememberKind } from './kind-document.ts'
import type { NotYet } from './not-yet.ts'
import { parseKind } from './parse-kind.ts'

/** A value says where one endpoint is: what is larger is something else. */
const maxBytes = 4096

/**
 * Reads what an instance registered: the endpoint as JSON (docs/registration.md), under `<service>/<instance>`. What is
 * wrong with one concerns no proxy but through it: it is left out, or stays as it last was.
 * @param idPrefix of the ids of all instances.
 */
export function parseInstance(api: EnvoyApi, document: Document, idPrefix: string, notYet: NotYet): ParsedDocument {
  const { id, origin, text } = document
  const name = id.slice(idPrefix.length)
  const problems: Problem[] = []
  const tell = ({ line, column, path, ...problem }: Omit<TreeProblem, 'of'>): void => {
    problems.push({ ...problem, origin: { ...origin, line, column }, path: path.replace(/^endpoint\.?/, '') })
  }
  const refused = (): ParsedDocument => ({
    documents: [],
    invalid: [{ key: id, origin, selectors: [], touches: { gateways: [] } }],
    isUnreadable: false,
    problems,
  })
  const at = { line: 1, column: 1 }
  const service = name.slice(0, name.indexOf('/'))
  if (!/^[^/]+\/[^/]+$/.test(name)) {
    const message = 'The key of an instance is `endpoints/<service>/<instance>`.'
    tell({ severity: 'error', code: 'invalid-name', ...at, path: '', message, fix: 'Delete it, and register again.' })
    return refused()
  }
  if (text.length > maxBytes) {
    const message = `What an instance registers has at most ${maxBytes} bytes.`
    const fix = 'Write the address, port and labels alone.'
    problems.push({ severity: 'error', code: 'too-large', origin, path: '', message, fix })
    return refused()
  }
  const [yaml, more] = parseYaml(text, { maxValues: 500, maxDepth: 8 })
  for (const problem of yaml?.problems ?? []) tell(problem)
  if (yaml === undefined || more !== undefined || yaml.isBroken || yaml.tree.kind !== 'map') {
    const message = 'What an instance registers is one JSON object.'
    const fix = 'Write it like {"address": "10.0.0.11", "port": 8080}.'
    if (problems.length === 0) tell({ severity: 'error', code: 'wrong-type', ...at, path: '', message, fix })
    return refused()
  }
  const { read, problems: found } = parseKind(api, 'Instance', instanceTree(name, service, yaml.tree), origin, notYet)
  for (const problem of found) tell(problem)
  if (read === undefined || problems.some(({ severity }) => severity === 'error')) return refused()
  rememberKind(read.resource, { key: id, origin, form: read.form, places: read.places })
  const unit = { key: id, origin, selectors: [], resources: [read.resource], declares: read.declares }
  return { documents: [{ ...unit, touches: { gateways: [] } }], invalid: [], isUnreadable: false, problems }
}

/** The instance that the key and the value make together. */
function instanceTree(name: string, service: string, endpoint: MapTree): MapTree {
  const { line, column } = endpoint
  const entry = (key: string, value: Tree): MapEntry => ({ key, value, line, column })
  const text = (value: string): Tree => ({ kind: 'scalar', value, line, column })
  return {
    ...endpoint,
    entries: [entry('name', text(name)), entry('service', text(service)), entry('endpoint', endpoint)],
  }
}
