import { Command, Option } from 'commander'
import { parseDocument } from '../config/parse-document.ts'
import { ControlPlaneError, isError } from '../errors.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { configPrefix } from '../source/etcd-client.ts'
import { putDocuments } from '../source/etcd-writer.ts'
import { type EtcdFlags, etcdOptions, withEtcdOptions } from './etcd-option.ts'
import { exitCodes, type Io, print, printJson } from './io.ts'
import { envoyApiOption, jsonOption, repeatable } from './option.ts'
import { formatProblems } from './problem-text.ts'
import { type Reading, readDocuments } from './read-documents.ts'

interface Flags extends EtcdFlags {
  readonly envoyApi?: string
  readonly delete?: readonly string[]
  readonly batches?: true
  readonly check: boolean
  readonly json?: true
}

const help = `
A file's key is its path below PATH, without its ending:
  config/cluster/cart.yaml -> /fairlead/config/cluster/cart

  fairlead put ./config --etcd http://127.0.0.1:2379
  fairlead put ./config --delete route/old --etcd http://127.0.0.1:2379

A server sees a transaction as one change. etcd takes 128 operations in one;
with --batches, more go in several: additions and changes first, deletions last.
`

export function putCommand(io: Io, finish: (exitCode: number) => void): Command {
  const command = new Command('put')
    .description('write files into etcd, in one transaction, for `serve --etcd`')
    .argument('[PATH]', 'a directory or file of configuration')
  return withEtcdOptions(command)
    .addOption(envoyApiOption())
    .addOption(repeatable('--delete <KEY>', 'a key to delete, such as cluster/cart'))
    .addOption(new Option('--batches', 'allow several transactions where one is not enough'))
    .addOption(new Option('--no-check', 'write documents that have errors, too'))
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (path: string | undefined, flags: Flags) => {
      const etcd = etcdOptions(flags)
      const deletes = flags.delete ?? []
      if (path === undefined && deletes.length === 0) {
        throw new ControlPlaneError('usage', 'nothing to do: give a PATH to write, or --delete KEY')
      }
      const reading = path === undefined ? nothing : await readDocuments(path, io.signal)
      if (hasErrors(reading, flags, io) && flags.check) {
        io.err.write('Nothing was written: mend the errors, or write them all the same with --no-check\n')
        return finish(exitCodes.config)
      }
      const upserts = reading.documents.map(({ id, text }) => ({ key: keyOf(id), text }))
      const onMissing = (key: string): void => void io.err.write(`${key} was not there: nothing to delete\n`)
      const revisions = await putDocuments(etcd, { upserts, deletes }, { batches: flags.batches ?? false, onMissing })
      if (flags.json) return printJson(io, { written: upserts.map(({ key }) => key), deleted: deletes, revisions })
      print(io, formatDone(configPrefix(etcd), upserts.length, deletes.length, revisions))
    })
}

const nothing: Reading = { documents: [], problems: [] }

/** Prints what is wrong with the documents by themselves; what they refer to may be in etcd already. */
function hasErrors({ documents, problems }: Reading, flags: Flags, io: Io): boolean {
  const api = loadEnvoyApi(flags.envoyApi)
  const found = [...problems, ...documents.flatMap((document) => parseDocument(api, document).problems)]
  if (found.length > 0) io.err.write(`${formatProblems(found, { color: io.err.isTTY === true })}\n`)
  return found.some(isError)
}

function formatDone(prefix: string, written: number, deleted: number, revisions: readonly string[]): string {
  const what = [written > 0 && `${written} written`, deleted > 0 && `${deleted} deleted`].filter(
    (part) => part !== false,
  )
  const how = revisions.length === 1 ? 'in one transaction' : `in ${revisions.length} transactions`
  return `${prefix}: ${what.join(', ')} ${how}, at etcd revision ${revisions.at(-1)}`
}

/** A file source's id is `file:` and the path below its root. */
function keyOf(id: string): string {
  return id.slice(id.indexOf(':') + 1).replace(/\.(ya?ml|json)$/, '')
}
