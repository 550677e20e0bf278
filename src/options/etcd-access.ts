import type { EtcdOptions } from '../source/etcd-client.ts'
import { readPasswordFile } from './password-file.ts'

/** How etcd lets one in, as the options of `serve` and the flags of the commands that write to it call it. */
export interface EtcdAccess {
  readonly etcdCa?: string
  readonly etcdCert?: string
  readonly etcdKey?: string
  readonly etcdUser?: string
  readonly etcdPasswordFile?: string
}

/**
 * The same for a connection.
 * @throws ControlPlaneError `usage` when the password's file cannot be read.
 */
export function etcdAccess(access: EtcdAccess): Pick<EtcdOptions, 'tls' | 'auth'> {
  const { etcdCa: ca, etcdCert: cert, etcdKey: key, etcdUser: user, etcdPasswordFile: file } = access
  return {
    ...((ca ?? cert) !== undefined && {
      tls: { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) },
    }),
    ...(user !== undefined && file !== undefined && { auth: { user, password: readPasswordFile(file) } }),
  }
}
