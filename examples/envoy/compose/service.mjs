// Both services. An instance of catalog says who it is; web asks catalog, and says who answered.
import { createServer } from 'node:http'

const [name = ''] = process.argv.slice(2)

const server = createServer(async (request, response) => {
  const say = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
  if (request.url === '/health' || name !== 'web') return say(200, { backend: name })
  try {
    const answer = await fetch('http://catalog:8080/')
    const text = await answer.text()
    say(answer.status, answer.ok ? { page: 'web', ...JSON.parse(text) } : { page: 'web', error: text })
  } catch (error) {
    say(502, { page: 'web', error: error.cause?.message ?? error.message })
  }
})
// Its only client is the sidecar, which may keep a connection open for as long as it likes.
server.keepAliveTimeout = 0
server.listen(3000)
process.on('SIGTERM', () => process.exit())
