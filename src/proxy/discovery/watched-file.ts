import { type FSWatcher, statSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { ConfigRejection } from '../config/config-rejection.ts'

/**
 * Tells when a file is replaced: another one is moved to its place, or into the directory that is watched for it. What is
 * written into a file is not seen, nor by Envoy, which would read half of it.
 * @throws ConfigRejection where there is no such file
 */
export function watchFile(path: string, directory: string | undefined, onReplaced: () => void): { close(): void } {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new ConfigRejection(`paths must refer to an existing path in the system: '${path}' does not exist`)
  }
  const name = basename(path)
  const watcher: FSWatcher = watch(directory ?? dirname(path), { persistent: false }, (event, changed) => {
    if (event === 'rename' && (directory !== undefined || changed === name)) onReplaced()
  })
  // A directory that goes is told of by the next move, if there is one.
  watcher.on('error', () => undefined)
  return { close: () => watcher.close() }
}
