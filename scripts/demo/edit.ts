import { readFileSync, writeFileSync } from 'node:fs'
import pc from 'picocolors'

/**
 * Replaces texts in a file, as an editor would.
 * @returns the lines of the difference
 * @throws Error when a text is not there: the demo and the example have to agree
 */
export function edit(path: string, changes: Readonly<Record<string, string>>): readonly string[] {
  const old = readFileSync(path, 'utf8')
  const keys = Object.keys(changes)
  for (const key of keys) if (!old.includes(key)) throw new Error(`${path} has no '${key}'`)
  // All in one pass: a port that is put in may be one that is to be replaced.
  const escaped = keys.map((key) => key.replaceAll(/[^\w]/g, '\\$&'))
  const text = old.replaceAll(new RegExp(escaped.join('|'), 'g'), (key) => changes[key] as string)
  writeFileSync(path, text)
  const lines = old.split('\n')
  return text.split('\n').flatMap((line, index) => {
    const was = lines[index] ?? ''
    return line === was ? [] : [pc.red(`   -  ${was.trim()}`), pc.green(`   +  ${line.trim()}`)]
  })
}
