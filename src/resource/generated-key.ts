/** The unit of what a document of a kind is translated to. No source's id begins like this. */
export function generatedKey(kind: string, name: string): string {
  return `+${kind}/${name}`
}

export function isGeneratedKey(key: string): boolean {
  return key.startsWith('+')
}

/** The unit of what only who names a version of a Service gets of it: `+Service/cart#v2`. */
export function versionKey(key: string, version: string): string {
  return `${key}#${version}`
}

/**
 * The unit of what only callers of a region get of it: `+Service/cart@eu`; `+Service/cart@` is for those that are in none of
 * the others. No name of a document or a version has an `@`, a `~`, or a `#`.
 */
export function regionalKey(key: string, region: string): string {
  return `${key}@${region}`
}

/** The unit of what is not for who calls a Service, but for the proxies of its own: `+Service/cart~local`. */
export function peersKey(key: string): string {
  return `${key}~local`
}

/** The key that all units of one document have in common. */
export function ownerKey(key: string): string {
  const end = key.search(/[@~#]/)
  return end < 0 ? key : key.slice(0, end)
}
