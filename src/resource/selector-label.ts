import type { NodeSelector } from './node-selector.ts'

/** A selector for people: `cluster=edge,metadata.env=prod`, `cluster=edge,region!=eu|us`, or `every node`. */
export function selectorLabel(selector: NodeSelector): string {
  const parts: string[] = []
  if (selector.cluster !== undefined) parts.push(`cluster=${selector.cluster}`)
  if (selector.id !== undefined) parts.push(`id=${selector.id}`)
  if (selector.metadata !== undefined) addParts('metadata', selector.metadata, parts)
  if (selector.region !== undefined) parts.push(`region=${selector.region}`)
  if (selector.notRegions !== undefined) parts.push(`region!=${selector.notRegions.join('|')}`)
  return parts.length === 0 ? 'every node' : parts.join(',')
}

function addParts(path: string, value: unknown, parts: string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    parts.push(`${path}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    return
  }
  for (const [key, inner] of Object.entries(value)) addParts(`${path}.${key}`, inner, parts)
}
