import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atTestEnd } from '../../../support/at-test-end.ts'
import { findProgram } from '../../../support/find-program.ts'
import { tempDir } from '../../../support/temp.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

interface Language {
  readonly program: string
  readonly args?: readonly string[]
  readonly file: string
  /** Asks the URL of its first argument for the host of its second, with nothing but what the language has, and prints the body. */
  readonly client: string
  /** Compiled anew for each run: for the long form. */
  readonly isSlow?: true
}

const languages: Readonly<Record<string, Language>> = {
  node: {
    program: process.execPath,
    file: 'ask.cjs',
    client: `const [, , url, host] = process.argv
require('node:http').get(url, { headers: { host } }, (response) => response.pipe(process.stdout))
`,
  },
  python: {
    program: 'python3',
    file: 'ask.py',
    client: `import sys, urllib.request as web
print(web.urlopen(web.Request(sys.argv[1], headers={'Host': sys.argv[2]})).read().decode(), end='')
`,
  },
  go: {
    program: 'go',
    args: ['run'],
    file: 'ask.go',
    isSlow: true,
    client: `package main

import ("io"; "net/http"; "os")

func main() {
	request, _ := http.NewRequest("GET", os.Args[1], nil)
	request.Host = os.Args[2]
	answer, err := http.DefaultClient.Do(request)
	if err != nil { panic(err) }
	io.Copy(os.Stdout, answer.Body)
}
`,
  },
  java: {
    program: 'java',
    args: ['-Dsun.net.http.allowRestrictedHeaders=true'],
    file: 'Ask.java',
    isSlow: true,
    client: `import java.net.*;

class Ask {
  public static void main(String[] args) throws Exception {
    var connection = new URL(args[0]).openConnection();
    connection.setRequestProperty("Host", args[1]);
    connection.getInputStream().transferTo(System.out);
  }
}
`,
  },
}

/** A request of each language of this machine: what it got, by language. There is Node.js at least. */
export async function askInEachLanguage(url: string, host: string): Promise<Readonly<Record<string, string>>> {
  const directory = tempDir()
  const answers: Record<string, string> = {}
  for (const [name, { program, args = [], file, client, isSlow }] of Object.entries(languages)) {
    const path = program.includes('/') ? program : findProgram(program)
    if (path === undefined || (isSlow && !isLong)) continue
    writeFileSync(join(directory, file), client)
    const env = { ...process.env, no_proxy: '*', NO_PROXY: '*' }
    const run = promisify(execFile)(path, [...args, join(directory, file), url, host], { env, timeout: 60_000 })
    answers[name] = (await run).stdout
  }
  return answers
}

const pythonServer = `
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = b'from python'
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
`

/** The port of an app of Python's own server, which answers "from python"; undefined where there is no Python. */
export async function startPythonApp(): Promise<number | undefined> {
  const path = findProgram('python3')
  if (path === undefined) return undefined
  const child = spawn(path, ['-c', pythonServer], { stdio: ['ignore', 'pipe', 'inherit'] })
  atTestEnd(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return Number(line.toString())
}
