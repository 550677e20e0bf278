import { Command, Option } from 'commander'
import { parseDocument } from '../config/parse-document.ts'
import { ControlPlaneError, isError } from '../errors.ts'
import { silentLog } from '../log.ts'
import { parseOptionValue } from '../options/option-value.ts'
import { readPasswordFile } from '../options/password-file.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { configPrefix, defaultPrefix, type EtcdOptions } from '../source/etcd-client.ts'
import { putDocuments } from '../source/etcd-writer.ts'
import { exitCodes, type Io, print, printJson } from './io.ts'
import { envoyApiOption, jsonOption, option, repeatable } from './option.ts'
import { formatProblems } from './problem-text.ts'
import { type Reading, readDocuments } from './read-documents.ts'

interface Flags {
  readonly etcd: string
  readonly etcdPrefix: string
  readonly etcdCa?: string
  readonly etcdCert?: string
  readonly etcdKey?: string
  readonly etcdUser?: string
  readonly etcdPasswordFile?: string
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
  return new Command('put')
    .description('write files into etcd, in one transaction, for `serve --etcd`')
    .argument('[PATH]', 'a directory or file of configuration')
    .addOption(new Option('--etcd <URLS>', 'etcd endpoints, with commas between them').makeOptionMandatory())
    .addOption(option('--etcd-prefix <PREFIX>', 'as it is given to `serve`', defaultPrefix))
    .addOption(new Option('--etcd-ca <FILE>', "the CA bundle that vouches for etcd's certificate"))
    .addOption(new Option('--etcd-cert <FILE>', 'the certificate to show to etcd'))
    .addOption(new Option('--etcd-key <FILE>', 'the key of --etcd-cert'))
    .addOption(new Option('--etcd-user <NAME>', 'the etcd user'))
    .addOption(new Option('--etcd-password-file <FILE>', 'a file with the password of --etcd-user'))
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
      const reading = path === undefined ? nothing : await readDocuments(path, silentLog, io.signal)
      if (hasErrors(reading, flags, io) && flags.check) {
        io.err.write('Nothing was written: mend the errors, or write them all the same with --no-check\n')
        return finish(exitCodes.config)
      }
      const upserts = reading.documents.map(({ id, text }) => ({ key: keyOf(id), text }))
      const revisions = await putDocuments(etcd, { upserts, deletes }, { batches: flags.batches ?? false })
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

function etcdOptions(flags: Flags): EtcdOptions {
  const { etcdCa: ca, etcdCert: cert, etcdKey: key, etcdUser: user, etcdPasswordFile: file } = flags
  const endpoints = parseOptionValue('urls', flags.etcd, {})
  if (!('value' in endpoints))
    throw new ControlPlaneError('usage', `--etcd cannot be used: give it ${endpoints.expected}`)
  if ((cert === undefined) !== (key === undefined)) {
    throw new ControlPlaneError('usage', '--etcd-cert and --etcd-key go together: give both')
  }
  if ((user === undefined) !== (file === undefined)) {
    throw new ControlPlaneError('usage', '--etcd-user and --etcd-password-file go together: give both')
  }
  const urls = endpoints.value as readonly string[]
  if ((ca ?? cert) !== undefined && urls.some((url) => url.startsWith('http:'))) {
    throw new ControlPlaneError('usage', 'etcd is to be spoken to with TLS: write https: in every URL of --etcd')
  }
  return {
    endpoints: urls,
    prefix: flags.etcdPrefix,
    ...((ca ?? cert) !== undefined && {
      tls: { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) },
    }),
    ...(user !== undefined && file !== undefined && { auth: { user, password: readPasswordFile(file) } }),
  }
}
