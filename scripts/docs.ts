/** `npm run docs`: writes the pages of docs/ that are made from the product. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { generateDocs } from './generated-docs.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
for (const [path, text] of await generateDocs()) {
  writeFileSync(`${root}${path}`, text)
  console.log(path)
}
