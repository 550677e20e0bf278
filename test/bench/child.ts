import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Commands } from './answer.ts'
import { compiledFile } from './compiled-file.ts'

/** A process of the bench that is asked things one after another. */
export interface Child<C extends Commands> {
  ask<K extends keyof C & string>(command: K, ...argument: Parameters<C[K]>): Promise<Awaited<ReturnType<C[K]>>>
  stop(): Promise<void>
}

interface Reply {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

/** Starts a file of this directory as a process of its own, on plain Node: a loader would be measured with it. */
export function startChild<C extends Commands>(file: string): Child<C> {
  const path = compiledFile(file)
  const child: ChildProcess = fork(path, [], { execArgv: ['--expose-gc'] })
  const waiting = new Map<number, (reply: Reply) => void>()
  let lastId = 0
  child.on('message', (reply: Reply) => {
    waiting.get(reply.id)?.(reply)
    waiting.delete(reply.id)
  })
  child.on('exit', (code) => {
    for (const [id, settle] of waiting) settle({ id, error: `${file} ended with ${code}` })
    waiting.clear()
  })
  return {
    ask: (command, ...argument) =>
      new Promise((resolve, reject) => {
        const id = ++lastId
        waiting.set(id, ({ value, error }) => {
          if (error === undefined) resolve(value as Awaited<ReturnType<C[typeof command]>>)
          else reject(new Error(`${file}, ${command}: ${error}`))
        })
        child.send({ id, command, argument: argument[0] })
      }),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}
