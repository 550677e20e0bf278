import { readFileSync } from 'node:fs'

interface PackageJson {
  readonly version: string
}

/** Which sources a build is made of. */
export interface Build {
  /** The hash, with `-dirty` behind it where files differed; or `unknown`. */
  readonly commit: string
  /** RFC 3339, or `unknown`. */
  readonly commitDate: string
}

const packageJson = readJson('../package.json') as PackageJson

export const fairleadVersion: string = packageJson.version

/** Unknown of what runs from its sources, which may have changed since anything was built. */
export const ownBuild: Build = readOwnBuild()

function readOwnBuild(): Build {
  try {
    return readJson('./build.json') as Build
  } catch {
    return { commit: 'unknown', commitDate: 'unknown' }
  }
}

/** @throws Error when there is no such file beside this one, or it is no JSON. */
function readJson(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
}
