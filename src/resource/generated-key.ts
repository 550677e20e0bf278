/** The unit of what a document of a kind is translated to. No source's id begins like this. */
export function generatedKey(kind: string, name: string): string {
  return `+${kind}/${name}`
}

export function isGeneratedKey(key: string): boolean {
  return key.startsWith('+')
}
