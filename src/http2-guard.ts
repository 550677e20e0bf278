/**
 * Keeps a process of HTTP/2 alive whatever its peers send. Node hands over what a peer sent from within nghttp2's parser,
 * and with it run all ticks and promises that are due. Who then resets a stream or ends a session has nghttp2 send from
 * within its own parsing, where it frees streams that the parser writes to afterwards: the heap is broken, and the process
 * aborts. A peer needs but one packet for that (a GOAWAY and then a new stream), for Node itself resets that stream there.
 * Node 20 has it and later ones up to nodejs/node#64166, besides an abort of the same cause (nodejs/node#64850). So all of
 * that waits here for an immediate, which never runs within the parser.
 */
import { type ClientHttp2Session, constants, type Http2Stream, type ServerHttp2Session } from 'node:http2'

/** To be called as soon as there is a session. Its streams need no guard of their own. */
export function guardServerSession(session: ServerHttp2Session): void {
  deferDestroy(session)
  const close = session.close.bind(session)
  let open = 0
  let isClosing = false
  const endIfDone = (): void => {
    if (!isClosing || open > 0) return
    setImmediate(() => {
      if (open > 0 || session.destroyed) return
      close()
      session.destroy()
    })
  }
  // As long as Node does not know the session as closed it resets no new stream itself; nghttp2 ignores those that come
  // after the GOAWAY is on its way.
  session.close = (callback) => {
    if (callback !== undefined) session.once('close', callback)
    if (isClosing || session.destroyed) return
    isClosing = true
    if (open > 0) session.goaway(constants.NGHTTP2_NO_ERROR)
    endIfDone()
  }
  // Before whoever listens already.
  session.prependListener('stream', (stream) => {
    guardStream(stream)
    open += 1
    stream.once('close', () => {
      open -= 1
      endIfDone()
    })
  })
}

/** Its streams need a guard, each. */
export function guardClientSession(session: ClientHttp2Session): void {
  deferDestroy(session)
}

export function guardStream(stream: Http2Stream): void {
  const close = stream.close.bind(stream)
  stream.close = (code, callback) => {
    // For this code Node waits itself.
    if (code === constants.NGHTTP2_CANCEL) close(code, callback)
    else setImmediate(() => close(code, callback))
  }
  const destroy = stream.destroy.bind(stream)
  stream.destroy = (error) => {
    // With its session it must end at once, and one that is closed already is reset no more.
    if (stream.closed || stream.session === undefined || stream.session.destroyed) destroy(error)
    else setImmediate(() => destroy(error))
    return stream
  }
}

function deferDestroy(session: ServerHttp2Session | ClientHttp2Session): void {
  const destroy = session.destroy.bind(session)
  session.destroy = (error, code) => {
    setImmediate(() => destroy(error, code))
  }
}
