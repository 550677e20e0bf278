/** The releases of Envoy that the tests know, newest first: the first is the one that every test runs against. */
export const envoyVersions: readonly [string, ...string[]] = ['1.40.0', '1.39.3', '1.38.3', '1.37.0', '1.36.4']

export const defaultEnvoyVersion: string = envoyVersions[0]

/** `1.39` is the listed release of that series; a full version stands for itself; undefined for anything else. */
export function resolveEnvoyVersion(wanted: string): string | undefined {
  if (/^\d+\.\d+\.\d+$/.test(wanted)) return wanted
  return envoyVersions.find((version) => version.startsWith(`${wanted}.`) && /^\d+\.\d+$/.test(wanted))
}
