import { expect, it } from 'vitest'
import { answerOf } from '../src/request/answer-request.ts'
import { type ProxyResources, proxyResources } from '../src/request/proxy-resources.ts'
import type { RequestAnswer, RequestOutcome } from '../src/request/request-question.ts'
import { loadEnvoyApi } from '../src/resource/envoy-api.ts'
import { setOfResources } from '../src/snapshot/resource-set.ts'
import { buildSnapshot } from '../src/snapshot/snapshot.ts'
import { createRandom, seedsOf } from './support/random.ts'
import { type Expected, expectedOf } from './support/route-oracle.ts'
import {
  documentsOfTable,
  type RouteTable,
  randomRequest,
  randomTable,
  smallerTables,
  type TableRequest,
} from './support/route-table.ts'
import { translated } from './support/translated.ts'

/**
 * The fast twin of e2e/mesh/route-agreement.test.ts: what `answerOf` says of the generated resources is what the
 * documents say. A seed that fails is played again with FAIRLEAD_TEST_SEED.
 */
const api = loadEnvoyApi()
const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const [tables, requests] = isLong ? [500, 200] : [60, 100]

const ground = {
  name: 'edge',
  port: 80,
  address: '127.0.0.1',
  endpointOf: (service: string) => ({ address: '10.0.0.1', port: 1000 + Number(service) }),
}

function resourcesOf(table: RouteTable): ProxyResources {
  const { units, problems } = translated(api, documentsOfTable(table, ground))
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(JSON.stringify(errors[0]))
  const all = units.flatMap((unit) => unit.resources)
  const types = [...new Set(all.map(({ typeUrl }) => typeUrl))]
  const sets = types.map((type) =>
    setOfResources(
      type,
      all.filter(({ typeUrl }) => typeUrl === type),
    ),
  )
  return proxyResources(api, buildSnapshot(sets))
}

function ask(resources: ProxyResources, { host, ...request }: TableRequest): RequestAnswer {
  return answerOf(resources, { ...request, scheme: 'http', authority: host, port: 80 })
}

/** The answer in the words of the oracle. */
function toldOf(outcome: RequestOutcome, request: TableRequest): Expected {
  const rule = (outcome.route ?? '').split('/').slice(0, 2).join('/')
  const { action, status = 0, body = '', location = '', path = request.path } = outcome
  if (action === 'respond') return { kind: 'respond', rule, status, body }
  if (action === 'redirect') return { kind: 'redirect', rule, status, location }
  if (action !== 'forward') return { kind: 'not-found' }
  const services = outcome.clusters.map(({ name }) => name.replace('edge-s', ''))
  return { kind: 'forward', rule, services, path }
}

function differenceOf(resources: ProxyResources, table: RouteTable, request: TableRequest): object | undefined {
  const expected = expectedOf(table, request)
  const told = ask(resources, request).outcomes.map((outcome) => toldOf(outcome, request))
  return JSON.stringify(told) === JSON.stringify(expected) ? undefined : { request, expected, told }
}

/** The smallest table that the request still differs on. */
function shrunk(table: RouteTable, request: TableRequest): RouteTable {
  const next = smallerTables(table).find((smaller) => {
    try {
      return differenceOf(resourcesOf(smaller), smaller, request) !== undefined
    } catch {
      return false
    }
  })
  return next === undefined ? table : shrunk(next, request)
}

it.each(seedsOf(tables))('requests go where the documents say (seed %i)', (seed) => {
  const random = createRandom(seed)
  const table = randomTable(random, 't')
  const resources = resourcesOf(table)
  for (let index = 0; index < requests; index++) {
    const request = randomRequest(random, table)
    if (differenceOf(resources, table, request) === undefined) continue
    const small = shrunk(table, request)
    const difference = differenceOf(resourcesOf(small), small, request)
    expect.fail(`seed ${seed}, shrunk to ${JSON.stringify({ ...difference, table: small })}`)
  }
})
