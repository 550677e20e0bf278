/** The least that a reverse proxy of Node's `http` does: it hands requests and responses on as they are. */
import { Agent, createServer, request } from 'node:http'
import { answer } from './answer.ts'

const agent = new Agent({ keepAlive: true })

function serve(upstream: number): Promise<number> {
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming
    const onward = request({ agent, host: '127.0.0.1', port: upstream, method, path: url, headers }, (answered) => {
      outgoing.writeHead(answered.statusCode ?? 502, answered.rawHeaders)
      answered.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
}

const commands: { serve: typeof serve } = { serve }
export type BareProxyCommands = typeof commands

answer(commands)
