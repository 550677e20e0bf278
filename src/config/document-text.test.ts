import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { joinDocuments } from './document-text.ts'
import { parseDocument } from './parse-document.ts'

const api = loadEnvoyApi()

function contentsOf(text: string): readonly (string | undefined)[] {
  const origin = { name: 'config/a.yaml' }
  const { documents, invalid } = parseDocument(api, { id: 'file:a.yaml', text, origin })
  return [...documents, ...invalid].map((document) => document.text?.content)
}

const service = (name: string): string =>
  `kind: Service\nname: ${name}\nendpoints: {address: 10.0.0.1, port: 80} # ${name}\n`
const [a, b, c] = [service('a'), service('b'), service('c')]

describe('the text of a document', () => {
  test.each<[string, string, readonly string[]]>([
    ['is all of it where there is one', `# head\n\n${a}\n# tail`, [`# head\n\n${a}\n# tail`]],
    [
      'goes from its separator to the next',
      `${a}# of a\n---\n# of b\n${b}--- \n${c}`,
      [`${a}# of a\n`, `# of b\n${b}`, c],
    ],
    ['holds what stands before the first separator', `# license\n---\n${a}---\n${b}`, [`# license\n---\n${a}`, b]],
    ['holds an empty document that follows', `${a}---\n# nothing\n---\n${b}`, [`${a}---\n# nothing\n`, b]],
    ['keeps a separator that shares its line', `--- # why\n${a}`, [`--- # why\n${a}`]],
    [
      'begins with its directives',
      `${a}...\n# next\n%YAML 1.2\n---\n${b}`,
      [`${a}...\n`, `# next\n%YAML 1.2\n---\n${b}`],
    ],
    ['is without a byte order mark', `\uFEFF---\n${a}`, [a]],
    ['of one with an error is known, too', `${a}---\nkind: Service\nnme: b\n`, [a, 'kind: Service\nnme: b\n']],
    ['may be JSON', '{"kind": "Service", "name": "a"}', ['{"kind": "Service", "name": "a"}']],
  ])('%s', (_, text, contents) => {
    expect(contentsOf(text)).toEqual(contents)
  })
})

test.each<[string, readonly string[]]>([
  ['two', [a, b]],
  ['one without a last newline', [a.trimEnd(), b]],
  ['one with a license before it', [b, `# license\n---\n${a}`]],
  ['one with directives', [a, `# next\n%YAML 1.2\n---\n${b}`]],
  ['one that begins on the line of its separator', [a, `--- # why\n${b}`, c]],
  ['one that was ended', [`${a}...\n`, b]],
  ['JSON', ['{"kind": "Service", "name": "a", "endpoints": {"address": "10.0.0.1", "port": 80}}', b]],
])('documents that are joined are the same again: %s', (_, contents) => {
  const origin = { name: 'config/a.yaml' }
  const { documents, problems } = parseDocument(api, { id: 'file:a.yaml', text: joinDocuments(contents), origin })
  expect(problems).toEqual([])
  expect(documents.flatMap(({ resources }) => resources.map(({ name }) => name))).toEqual(
    contents.map((content) => /name"?: "?(\w)/.exec(content)?.[1]),
  )
})
