import { compileFormat } from '../access-log/format.ts'
import type { FieldReader } from '../config/field-reader.ts'
import type { HttpFilterKind, HttpResponse, HttpStream } from '../http/http-filter.ts'
import { applyHeaderMutations, type HeaderMutations, readHeaderMutations } from '../route/header-mutation.ts'

interface Mutations {
  readonly request: HeaderMutations
  readonly response: HeaderMutations
}

const none: Mutations = { request: [], response: [] }

const compile = (template: string): ReturnType<typeof compileFormat> => compileFormat(template, '')

const readMutations = (fields: FieldReader): Mutations => ({
  request: readHeaderMutations(fields, 'request_mutations', compile),
  response: readHeaderMutations(fields, 'response_mutations', compile),
})

interface Config extends Mutations {
  readonly mostSpecificWins: boolean
}

/** Changes headers: the filter's own changes first, then those of the levels of the route. */
export const headerMutationFilter: HttpFilterKind<Config> = {
  type: 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
  read: (fields) => ({
    ...(fields.message('mutations', readMutations) ?? none),
    mostSpecificWins: fields.flag('most_specific_header_mutations_wins'),
  }),
  perRoute: {
    'envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute': (fields) =>
      fields.message('mutations', readMutations) ?? none,
  },
  create(config, name) {
    const levelsOf = (stream: HttpStream): readonly Mutations[] => {
      const levels = (stream.route()?.perFilter(name) ?? []) as readonly Mutations[]
      return [config, ...(config.mostSpecificWins ? levels : levels.toReversed())]
    }
    return () => ({
      onRequest(stream) {
        for (const { request } of levelsOf(stream)) applyHeaderMutations(stream.request, request, subjectOf(stream))
        return true
      },
      onResponse(stream, response) {
        for (const level of levelsOf(stream)) {
          applyHeaderMutations(response.headers, level.response, subjectOf(stream, response))
        }
      },
    })
  },
}

function subjectOf(stream: HttpStream, response?: HttpResponse) {
  const { info, connection, request, context } = stream
  return { info, connection, request, response: response?.headers, nowMs: context.clock.now() }
}
