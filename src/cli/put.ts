import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { parseDocument } from '../config/parse-document.ts'
import { ControlPlaneError, isError, messageOf } from '../errors.ts'
import { silentLog } from '../log.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { defaultPrefix, type EtcdOptions } from '../source/etcd-client.ts'
import { putDocuments } from '../source/etcd-writer.ts'
import { exitCodes, type Io, print, printJson } from './io.ts'
import { formatProblems } from './problem-text.ts'
import { readDocuments } from './read-documents.ts'

interface Flags {
  readonly etcd: string
  readonly etcdPrefix: string
  readonly etcdCa?: string
  readonly etcdCert?: string
  readonly etcdKey?: string
  readonly etcdUser?: string
  readonly etcdPasswordFile?: string
  readonly envoyApi?: string
  readonly delete: readonly string[]
  readonly batches?: true
  readonly check: boolean
  readonly json?: true
}

const help = `
A file's key is its path below PATH without its ending: config/cluster/cart.yaml -> <prefix>config/cluster/cart.

  fairlead put ./config --etcd http://127.0.0.1:2379
  fairlead put ./config --delete route/old --etcd http://127.0.0.1:2379     in the same transaction

A server sees a transaction as one change. etcd takes 128 operations in one; with --batches, more go in several:
additions and changes first, deletions last.
`

export function putCommand(io: Io, finish: (exitCode: number) => void): Command {
  return new Command('put')
    .description('write documents into etcd, in one transaction')
    .argument('[path]', 'a directory or file of configuration')
    .requiredOption('--etcd <urls>', 'etcd endpoints, separated by commas')
    .option('--etcd-prefix <prefix>', 'the prefix of the server (`serve --etcd-prefix`)', defaultPrefix)
    .option('--etcd-ca <file>', "the CA bundle that vouches for etcd's certificate")
    .option('--etcd-cert <file>', 'the certificate to show to etcd')
    .option('--etcd-key <file>', 'the key of --etcd-cert')
    .option('--etcd-user <name>', 'the etcd user')
    .option('--etcd-password-file <file>', 'a file with the password of --etcd-user')
    .option('--envoy-api <file>', 'the API of the Envoy that is deployed (see `fairlead api import`)')
    .option('--delete <key>', 'a key to delete, as `cluster/cart`; repeatable', collect, [])
    .option('--batches', 'allow several transactions where one is not enough')
    .option('--no-check', 'write documents that have errors, too')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(async (path: string | undefined, flags: Flags) => {
      if (path === undefined && flags.delete.length === 0) {
        throw new ControlPlaneError('usage', 'nothing to do: give a PATH to write, or --delete KEY')
      }
      const { documents, problems } = path === undefined ? nothing : await readDocuments(path, silentLog, io.signal)
      const api = loadEnvoyApi(flags.envoyApi)
      const found = [...problems, ...documents.flatMap((document) => parseDocument(api, document).problems)]
      if (found.length > 0) io.err.write(`${formatProblems(found, { color: io.err.isTTY === true })}\n`)
      if (flags.check && found.some(isError)) {
        io.err.write('nothing was written: mend the errors, or write them all the same with --no-check\n')
        return finish(exitCodes.config)
      }
      const upserts = documents.map(({ id, text }) => ({ key: keyOf(id), text }))
      const revisions = await putDocuments(
        etcdOptions(flags),
        { upserts, deletes: flags.delete },
        { batches: flags.batches ?? false },
      )
      if (flags.json) return printJson(io, { written: upserts.map(({ key }) => key), deleted: flags.delete, revisions })
      print(
        io,
        `${upserts.length} written, ${flags.delete.length} deleted, at etcd revision ${revisions.join(', ') || '-'}`,
      )
    })
}

const nothing = { documents: [], problems: [] } as const

/** A file source's id is `file:` and the path below its root. */
function keyOf(id: string): string {
  return id.slice(id.indexOf(':') + 1).replace(/\.(ya?ml|json)$/, '')
}

function etcdOptions(flags: Flags): EtcdOptions {
  const { etcdCa: ca, etcdCert: cert, etcdKey: key, etcdUser: user, etcdPasswordFile: file } = flags
  if ((cert === undefined) !== (key === undefined)) {
    throw new ControlPlaneError('usage', '--etcd-cert and --etcd-key go together: give both')
  }
  if ((user === undefined) !== (file === undefined)) {
    throw new ControlPlaneError('usage', '--etcd-user and --etcd-password-file go together: give both')
  }
  return {
    endpoints: flags.etcd.split(',').map((url) => url.trim()),
    prefix: flags.etcdPrefix,
    ...((ca ?? cert) !== undefined && {
      tls: { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) },
    }),
    ...(user !== undefined && file !== undefined && { auth: { user, password: readPassword(file) } }),
  }
}

/** @throws ControlPlaneError `usage` when the file cannot be read. */
export function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new ControlPlaneError('usage', `--etcd-password-file ${file} cannot be read: ${messageOf(error)}`)
  }
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value]
}
