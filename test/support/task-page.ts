import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a reader of a page of docs/tasks does, in order. */
export type Step =
  | { readonly kind: 'file'; readonly path: string; readonly text: string }
  | { readonly kind: 'command'; readonly args: readonly string[]; readonly output: string }

/**
 * Its YAML blocks, each with the path of its file in its first line, and its commands, each with what it prints behind.
 * @throws Error for a page with a block of another form: nothing of it may go unrun
 */
export function stepsOf(page: string): readonly Step[] {
  const text = readFileSync(join(import.meta.dirname, '../../docs/tasks', page), 'utf8')
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', body = '']) => ({
    language,
    body,
  }))
  return blocks.flatMap(({ language, body }, index): readonly Step[] => {
    if (language === 'yaml') {
      const [, path] = /^# (\S+)\n/.exec(body) ?? []
      if (path === undefined) throw new Error(`${page}: a YAML block does not say of which file it is`)
      return [{ kind: 'file', path, text: body.replace(/^.*\n/, '') }]
    }
    if (language === 'text') return []
    const output = blocks[index + 1]
    const [program, ...args] = body
      .trim()
      .match(/'[^']*'|\S+/g)
      ?.map((word) => word.replaceAll("'", '')) ?? ['']
    if (language !== 'sh' || program !== 'fairlead' || output?.language !== 'text') {
      throw new Error(`${page}: a block of ${language || 'no language'} is not a command with what it prints`)
    }
    return [{ kind: 'command', args, output: output.body }]
  })
}
