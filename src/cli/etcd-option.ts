import { type Command, Option } from 'commander'
import { ControlPlaneError } from '../errors.ts'
import { type EtcdAccess, etcdAccess } from '../options/etcd-access.ts'
import { parseOptionValue } from '../options/option-value.ts'
import { defaultPrefix, type EtcdOptions } from '../source/etcd-client.ts'
import { option } from './option.ts'

export interface EtcdFlags extends EtcdAccess {
  readonly etcd: string
  readonly etcdPrefix: string
}

/** Where etcd is and how one is let in, for a command that writes to it. */
export function withEtcdOptions(command: Command, { isOptional = false }: { isOptional?: boolean } = {}): Command {
  return command
    .addOption(new Option('--etcd <URLS>', 'etcd endpoints, with commas between them').makeOptionMandatory(!isOptional))
    .addOption(option('--etcd-prefix <PREFIX>', 'as it is given to `serve`', defaultPrefix))
    .addOption(new Option('--etcd-ca <FILE>', "the CA bundle that vouches for etcd's certificate"))
    .addOption(new Option('--etcd-cert <FILE>', 'the certificate to show to etcd'))
    .addOption(new Option('--etcd-key <FILE>', 'the key of --etcd-cert'))
    .addOption(new Option('--etcd-user <NAME>', 'the etcd user'))
    .addOption(new Option('--etcd-password-file <FILE>', 'a file with the password of --etcd-user'))
}

/** @throws ControlPlaneError `usage` for flags that cannot be used, alone or together. */
export function etcdOptions(flags: EtcdFlags): EtcdOptions {
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
  return { endpoints: urls, prefix: flags.etcdPrefix, ...etcdAccess(flags) }
}
