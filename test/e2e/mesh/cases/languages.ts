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
  /** Asks for the URL of its argument, with nothing but what the language has, and prints the body. */
  readonly client: string
  /** Compiled anew for each run: for the long form. */
  readonly isSlow?: true
}

const languages: Readonly<Record<string, Language>> = {
  node: {
    program: process.execPath,
    file: 'ask.cjs',
    client: `require('node:http').get(process.argv[2], (response) => response.pipe(process.stdout))
`,
  },
  python: {
    program: 'python3',
    file: 'ask.py',
    client: `import sys, urllib.request as web
print(web.urlopen(sys.argv[1]).read().decode(), end='')
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
	answer, err := http.Get(os.Args[1])
	if err != nil { panic(err) }
	io.Copy(os.Stdout, answer.Body)
}
`,
  },
  java: {
    program: 'java',
    file: 'Ask.java',
    isSlow: true,
    client: `import java.net.*;

class Ask {
  public static void main(String[] args) throws Exception {
    new URL(args[0]).openStream().transferTo(System.out);
  }
}
`,
  },
}

const pathOf = ({ program }: Language): string | undefined => (program.includes('/') ? program : findProgram(program))

/** Those that this machine has; compiled ones in the long form alone. */
export const languagesHere: readonly string[] = Object.entries(languages)
  .filter(([, language]) => pathOf(language) !== undefined && (isLong || language.isSlow !== true))
  .map(([name]) => name)

/** A request of each language that is here: what it got, by language. */
export async function askInEachLanguage(url: string): Promise<Readonly<Record<string, string>>> {
  const directory = tempDir()
  const answers: Record<string, string> = {}
  for (const name of languagesHere) {
    const language = languages[name] as Language
    const { args = [], file, client } = language
    writeFileSync(join(directory, file), client)
    const env = { ...process.env, no_proxy: '*', NO_PROXY: '*' }
    const all = [...args, join(directory, file), url]
    answers[name] = (await promisify(execFile)(pathOf(language) ?? '', all, { env, timeout: 60_000 })).stdout
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
