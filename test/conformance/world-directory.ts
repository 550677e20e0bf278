/** The directory that a target's command is called with: one file for each group, named for it. */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { World } from './case.ts'
import { listedJson } from './kinds.ts'

export type FileFormat = 'yaml' | 'json'

/** Makes a server serve what a directory says, and resolves when it does. */
export type Apply = (directory: string) => Promise<void>

/** Makes the directory, if it is not there. @throws Error when there is something in it: the files are to be all that is */
export function claimDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true })
  const [name] = readdirSync(directory)
  if (name !== undefined) throw new Error(`${directory} is not empty (${name}): name one for the cases alone`)
}

/**
 * Groups of many cases that are in force together. Changes that come while the command runs go together into its next
 * run.
 */
export class WorldDirectory {
  readonly #directory: string
  readonly #format: FileFormat
  readonly #apply: Apply
  readonly #written = new Set<string>()
  readonly #changes = new Map<string, string | undefined>()
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @param directory claimed for this */
  constructor(directory: string, format: FileFormat, apply: Apply) {
    this.#directory = directory
    this.#format = format
    this.#apply = apply
  }

  /** @param prefix of the case: its groups are its own. */
  set(prefix: string, world: World): Promise<void> {
    for (const [group, specs] of Object.entries(world)) {
      const cluster = `${prefix}-${group}`
      const content = { nodes: { cluster }, resources: specs.map(listedJson) }
      const text = this.#format === 'json' ? `${JSON.stringify(content, undefined, 1)}\n` : stringify(content)
      this.#changes.set(`${cluster}.${this.#format}`, text)
    }
    return this.#flush()
  }

  /** Its groups go with the next change of any other. */
  remove(prefix: string, groups: Iterable<string>): void {
    for (const group of groups) this.#changes.set(`${prefix}-${group}.${this.#format}`, undefined)
  }

  /** Takes its files away, and tells nobody. */
  clear(): void {
    for (const name of this.#written) rmSync(join(this.#directory, name), { force: true })
    this.#written.clear()
  }

  #flush(): Promise<void> {
    this.#next ??= this.#running.then(async () => {
      this.#next = undefined
      for (const [name, text] of this.#changes) {
        const path = join(this.#directory, name)
        if (text === undefined) rmSync(path, { force: true })
        else {
          this.#written.add(name)
          // Whole or not at all, also for who watches the directory.
          writeFileSync(`${path}.tmp`, text)
          renameSync(`${path}.tmp`, path)
        }
      }
      this.#changes.clear()
      await this.#apply(this.#directory)
    })
    const flushed = this.#next
    this.#running = flushed.catch(() => {})
    return flushed
  }
}
