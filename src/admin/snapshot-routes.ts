import type { FastifyInstance, FastifyReply } from 'fastify'
import { ControlPlaneError } from '../errors.ts'
import type { HistoryReader } from '../snapshot/history/reader.ts'
import { diffRevisions, type RevisionView } from '../snapshot/history/view.ts'
import { diffJson, documentsJson, revisionJson } from './revision-json.ts'
import { addRoute } from './route.ts'

export interface SnapshotRoutesDeps {
  /** Undefined where there is no such history. */
  readonly open: (() => HistoryReader | Promise<HistoryReader>) | undefined
  /** Where relative paths of documents begin. */
  readonly directory: string | undefined
}

/** A history over HTTP: its list, one revision, what its documents were written as, and what differs between two. */
export function addSnapshotRoutes(app: FastifyInstance, base: string, { open, directory }: SnapshotRoutesDeps): void {
  const answer = async (reply: FastifyReply, give: (history: HistoryReader) => unknown): Promise<unknown> => {
    if (open === undefined) {
      return reply.code(404).send({ message: 'this server shares no history: it was started without --etcd' })
    }
    try {
      return await give(await open())
    } catch (error) {
      if (!(error instanceof ControlPlaneError) || error.code !== 'unreachable') throw error
      return reply.code(503).send({ message: error.message })
    }
  }

  addRoute(app, 'GET', base, (_request, reply) =>
    answer(reply, ({ revisions }) => ({ directory, revisions: revisions.toReversed() })),
  )
  const routes = { [`${base}/:revision`]: revisionJson, [`${base}/:revision/documents`]: documentsJson }
  for (const [path, toJson] of Object.entries(routes)) {
    addRoute(app, 'GET', path, (request, reply) => {
      const { revision } = request.params as { revision: string }
      return answer(reply, async (history) => {
        const view = await find(history, revision)
        return view === undefined ? unknown(history, reply, revision) : toJson(view)
      })
    })
  }
  addRoute(app, 'GET', `${base}/:from/diff/:to`, (request, reply) => {
    const { from, to } = request.params as { from: string; to: string }
    return answer(reply, async (history) => {
      const before = await find(history, from)
      if (before === undefined) return unknown(history, reply, from)
      const after = await find(history, to)
      return after === undefined ? unknown(history, reply, to) : diffJson(diffRevisions(before, after))
    })
  })
}

/** `text`: a number, or `latest`. */
async function find(history: HistoryReader, text: string): Promise<RevisionView | undefined> {
  const newest = history.revisions.at(-1)?.revision
  const revision = text === 'latest' ? newest : Number(/^\d{1,15}$/.exec(text)?.[0])
  const isKept = history.revisions.some((summary) => summary.revision === revision)
  return revision !== undefined && isKept ? await history.show(revision) : undefined
}

function unknown({ revisions }: HistoryReader, reply: FastifyReply, text: string): FastifyReply {
  const [oldest, newest] = [revisions.at(0)?.revision, revisions.at(-1)?.revision]
  const range = oldest === newest ? `revision ${newest} is` : `revisions ${oldest} to ${newest} are`
  const message =
    oldest === undefined ? 'no revision yet: nothing has been in force' : `no revision ${text}; ${range} kept`
  return reply.code(404).send({ message })
}
