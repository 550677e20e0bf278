/**
 * The name under which a resource is kept and compared: an `xdstp:` name with its context parameters sorted (rule 49),
 * any other as it is.
 */
export function normalizeResourceName(name: string): string {
  if (!name.startsWith('xdstp:')) return name
  const [, before = '', query, directives = ''] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(name) ?? [name, name]
  if (query === undefined || query === '') return before + directives
  const params = query.split('&').filter((param) => param !== '')
  return `${before}?${params.sort().join('&')}${directives}`
}

/** The message type in `xdstp://authority/envoy.config.cluster.v3.Cluster/name`; undefined for any other name. */
export function typeInResourceName(name: string): string | undefined {
  return /^xdstp:\/\/[^/]*\/([^/?#]+)/.exec(name)?.[1]
}
