import { appendFile } from 'node:fs'
import { messageOf } from '../../errors.ts'
import type { ProxyContext } from '../proxy-context.ts'

/** Where lines of an access log go. */
export interface LogSink {
  write(text: string): void
}

const filesOf = new WeakMap<ProxyContext, Map<string, LogFile>>()

/** The file of that path, one for all logs of a proxy that name it. */
export function logFile(context: ProxyContext, path: string): LogSink {
  const files = filesOf.get(context) ?? new Map<string, LogFile>()
  filesOf.set(context, files)
  const file = files.get(path) ?? new LogFile(context, path)
  files.set(path, file)
  return file
}

/** What is written in one turn of the event loop, or while the disk is busy, is written to the disk together. */
class LogFile implements LogSink {
  readonly #context: ProxyContext
  readonly #path: string
  #waiting: string[] = []
  #isBusy = false

  constructor(context: ProxyContext, path: string) {
    this.#context = context
    this.#path = path
  }

  write(text: string): void {
    this.#waiting.push(text)
    if (this.#isBusy) return
    this.#isBusy = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    const text = this.#waiting.join('')
    this.#waiting = []
    appendFile(this.#path, text, (error) => {
      if (error !== null)
        this.#context.log.warn({ file: this.#path }, `no access log can be written: ${messageOf(error)}`)
      if (this.#waiting.length > 0) this.#flush()
      else this.#isBusy = false
    })
  }
}
