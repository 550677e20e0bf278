import { once } from 'node:events'
import { connect } from 'node:http2'
import { atTestEnd } from '../../../support/at-test-end.ts'

/** The app that answers a request of HTTP/2 in clear text; undefined where the proxy does. */
export async function askByHttp2(port: number, path: string, host = `127.0.0.1:${port}`): Promise<unknown> {
  const session = connect(`http://127.0.0.1:${port}`)
  atTestEnd(() => session.destroy())
  const stream = session.request({ ':path': path, ':authority': host })
  const [headers] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>]
  stream.resume()
  await once(stream, 'end')
  session.destroy()
  return headers['x-app']
}
