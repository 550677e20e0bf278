import { createHash } from 'node:crypto'
import { fairleadVersion, ownBuild } from './own-version.ts'
import { type EnvoyApi, releaseOf } from './resource/envoy-api.ts'
import { historyFormat } from './snapshot/history/record.ts'

/** What a server, or an installed command, is: alike in `fairlead version --json` and at `/api/version`. */
export interface VersionReport {
  readonly fairlead: string
  /** The commit that it was built from, or `unknown`. */
  readonly commit: string
  /** RFC 3339, or `unknown`. */
  readonly commitDate: string
  readonly node: string
  /** Which, of when as far as that is known, and how many files it has. */
  readonly envoyApi: string
  /** Of its content: equal where two servers know the same fields. */
  readonly envoyApiSha256: string
  /** The format of the history that it writes, and the only one that it reads. */
  readonly historyFormat: number
}

export function versionReport(api: EnvoyApi): VersionReport {
  const hash = createHash('sha256')
  for (const { bytes } of api.files) hash.update(bytes)
  const release = releaseOf(api)
  return {
    fairlead: fairleadVersion,
    ...ownBuild,
    node: process.version,
    envoyApi: `${api.label}${release === undefined ? '' : `, ${release}`} (${api.files.length} files)`,
    envoyApiSha256: hash.digest('hex'),
    historyFormat,
  }
}
