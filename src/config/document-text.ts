import { createHash } from 'node:crypto'

/** What a person wrote of one YAML document, with the comments around it. */
export interface DocumentText {
  /** A hash of the whole text: equal texts have equal versions. */
  readonly version: string
  /** Without the `---` before it. */
  readonly content: string
}

export function documentText(text: string): DocumentText {
  const content = text.replace(/^\uFEFF?(---[ \t]*\r?\n)?/, '')
  return { version: createHash('sha256').update(content).digest('hex').slice(0, 32), content }
}

/**
 * The text that holds these documents, in their order. One that has directives of its own (`%YAML`) can only follow a
 * document that was ended.
 */
export function joinDocuments(contents: readonly string[]): string {
  return contents.reduce((text, content) => {
    if (text === '') return content
    const end = text.endsWith('\n') ? text : `${text}\n`
    if (/^(?:[ \t]*(?:#.*)?\r?\n)*%/.test(content)) return `${end}...\n${content}`
    return content.startsWith('---') ? `${end}${content}` : `${end}---\n${content}`
  }, '')
}
