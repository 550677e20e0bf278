import { describe, expect, test } from 'vitest'
import { parseDocument } from '../config/parse-document.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import type { RevisionDocument } from '../snapshot/history/documents.ts'
import type { Document } from '../source/source.ts'
import { planRollback, type RollbackPlan } from './rollback-plan.ts'

const api = loadEnvoyApi()

type Texts = Readonly<Record<string, string>>

const documentOf = ([name, text]: readonly [string, string]): Document => ({
  id: `file:${name}`,
  text,
  origin: { name: `config/${name}` },
})

/** What a server's history holds once these are in force. */
function inForce(texts: Texts): readonly RevisionDocument[] {
  return Object.entries(texts).flatMap((entry) =>
    parseDocument(api, documentOf(entry)).documents.map(({ key, origin, resources, selectors, text }) => ({
      key,
      origin,
      resources: resources.map(({ typeUrl, name, version }) => ({ typeUrl, name, version })),
      nodes: selectors,
      ...(text && { text }),
      isSensitive: false,
    })),
  )
}

interface Case {
  readonly past: Texts | readonly RevisionDocument[]
  /** As `now` where nothing is said. */
  readonly latest?: Texts | readonly RevisionDocument[]
  readonly now: Texts
}

const listed = (of: Texts | readonly RevisionDocument[]): readonly RevisionDocument[] =>
  Array.isArray(of) ? (of as readonly RevisionDocument[]) : inForce(of as Texts)

function plan({ past, now, latest = now }: Case): RollbackPlan {
  return planRollback({
    revision: 1,
    past: listed(past),
    latest: listed(latest),
    now: Object.entries(now).map(documentOf),
    parse: (document, held) => parseDocument(api, document, { held }),
  })
}

/** `~ a.yaml Service/a`. */
const said = ({ documents }: RollbackPlan): string[] =>
  documents.map(
    ({ id, name, change }) => `${{ added: '+', changed: '~', removed: '-' }[change]} ${id.slice(5)} ${name}`,
  )
const after = ({ texts }: RollbackPlan): Record<string, string | undefined> =>
  Object.fromEntries(texts.map((text) => [text.id.slice(5), text.after]))

const service = (name: string, port = 80): string =>
  `kind: Service\nname: ${name}\nendpoints: {address: 10.0.0.1, port: ${port}}\n`
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => service(name)) as [string, string, string, string]
const without = (documents: readonly RevisionDocument[], more: object): readonly RevisionDocument[] =>
  documents.map(({ key, origin, resources, nodes, isSensitive }) => ({
    key,
    origin,
    resources,
    nodes,
    isSensitive,
    ...more,
  }))

describe('a plan', () => {
  test('is empty where nothing changed', () => {
    expect(plan({ past: { 'a.yaml': a }, now: { 'a.yaml': a } })).toEqual({
      texts: [],
      documents: [],
      lost: [],
      kept: [],
    })
  })

  test('gives a changed document its text back, with its comments', () => {
    const made = plan({ past: { 'a.yaml': `# mine\n${a}` }, now: { 'a.yaml': service('a', 81) } })
    expect([said(made), after(made)]).toEqual([['~ a.yaml Service/a'], { 'a.yaml': `# mine\n${a}` }])
  })

  test('brings back what is gone and takes away what came', () => {
    const made = plan({ past: { 'a.yaml': a }, now: { 'b.yaml': `${b}---\n${c}` } })
    expect(said(made)).toEqual(['+ a.yaml Service/a', '- b.yaml Service/b', '- b.yaml Service/c'])
    expect(after(made)).toEqual({ 'a.yaml': a, 'b.yaml': undefined })
  })

  test('takes away what came into force beside what never was', () => {
    const draft = 'kind: Service\nname: draft\nport: -1\n'
    const now = { 'a.yaml': a, 'b.yaml': `${b}---\n# soon\n${draft}` }
    const made = plan({ past: { 'a.yaml': a }, latest: { 'a.yaml': a, 'b.yaml': b }, now })
    expect(said(made)).toEqual(['- b.yaml Service/b'])
    expect(after(made)).toEqual({ 'b.yaml': `# soon\n${draft}` })
    expect(made.kept.map(({ id, name }) => [id, name])).toEqual([['file:b.yaml', 'Service/draft']])
  })

  test('leaves nothing twice that was moved beside a draft', () => {
    const now = { 'a.yaml': a, 'b.yaml': `${service('b', 81)}---\nkind: Service\nname: c\nport: -1\n` }
    const latest = { 'a.yaml': a, 'b.yaml': service('b', 81) }
    const made = plan({ past: { 'a.yaml': `${a}---\n${b}` }, latest, now })
    expect(said(made)).toEqual(['+ a.yaml Service/b', '- b.yaml Service/b'])
    expect(after(made)).toEqual({
      'a.yaml': `${a}---\n${b}`,
      'b.yaml': 'kind: Service\nname: c\nport: -1\n',
    })
  })

  test('takes away what stands in the place of what cannot be brought back', () => {
    // What stood first had an error then.
    const past = without(inForce({ 'a.yaml': `${a}---\n${b}` }).slice(1), { isSensitive: true })
    const made = plan({ past, now: { 'a.yaml': c } })
    expect([said(made), after(made)]).toEqual([['- a.yaml Service/c'], { 'a.yaml': undefined }])
    expect(made.lost.map(({ name }) => name)).toEqual(['Service/b'])
  })

  test('leaves what holds the same as it is written now, also beside what is restored', () => {
    const now = { 'a.yaml': `# a comment of today\n${a}---\n${service('b', 81)}` }
    const made = plan({ past: { 'a.yaml': `${a}---\n${b}` }, now })
    expect(said(made)).toEqual(['~ a.yaml Service/b'])
    expect(after(made)).toEqual({ 'a.yaml': `# a comment of today\n${a}---\n${b}` })
    expect(plan({ past: { 'a.yaml': a }, now: { 'a.yaml': `# of today\n${a}` } }).texts).toEqual([])
  })

  test('leaves what was moved within its text, whichever of them a server saw first', () => {
    const moved = plan({ past: { 'a.yaml': `${a}---\n${b}---\n${c}` }, now: { 'a.yaml': `${b}---\n${c}---\n${a}` } })
    expect(moved).toEqual({ texts: [], documents: [], lost: [], kept: [] })
    const changed = plan({
      past: { 'a.yaml': `${a}---\n${b}` },
      now: { 'a.yaml': `${service('b', 81)}---\n${a}` },
    })
    expect([said(changed), after(changed)]).toEqual([['~ a.yaml Service/b'], { 'a.yaml': `${b}---\n${a}` }])
    const renamed = plan({ past: { 'a.yaml': `${a}---\n${b}` }, now: { 'a.yaml': `${b}---\n${c}` } })
    expect([said(renamed).sort(), after(renamed)]).toEqual([
      ['+ a.yaml Service/a', '- a.yaml Service/c'],
      { 'a.yaml': `${a}---\n${b}` },
    ])
  })

  test('leaves a new comment on what holds something of files, though they be others now', () => {
    const secret = 'kind: Secret\nname: shop\ncertificate: {chain: {file: shop.crt}, key: {file: shop.key}}\n'
    const of = (text: string, version: string): readonly RevisionDocument[] =>
      inForce({ 'a.yaml': text }).map((one) => ({
        ...one,
        resources: [...one.resources, { typeUrl: 'of its files', name: 'shop', version }],
      }))
    for (const past of ['one', 'two'].map((version) => of(secret, version))) {
      const made = plan({ past, latest: of(secret, 'two'), now: { 'a.yaml': `# of today\n${secret}` } })
      expect(made).toEqual({ texts: [], documents: [], lost: [], kept: [] })
    }
    const other = { 'a.yaml': `# of today\n${secret.replace('shop.crt', 'other.crt')}` }
    const made = plan({ past: of(secret, 'one'), latest: of(secret, 'two'), now: other })
    expect([said(made), after(made)]).toEqual([['~ a.yaml Secret/shop'], { 'a.yaml': secret }])
  })

  test('puts what is gone between the same neighbours', () => {
    const made = plan({ past: { 'a.yaml': `${a}---\n${b}---\n${c}` }, now: { 'a.yaml': `${a}---\n${d}---\n${c}` } })
    expect(said(made)).toEqual(['- a.yaml Service/d', '+ a.yaml Service/b'])
    expect(after(made)).toEqual({ 'a.yaml': `${a}---\n${b}---\n${c}` })
    const first = plan({ past: { 'a.yaml': `${a}---\n${b}` }, now: { 'a.yaml': b } })
    expect(after(first)).toEqual({ 'a.yaml': `${a}---\n${b}` })
  })

  test('mends a document that is broken now, and in force as it was', () => {
    const past = { 'a.yaml': `${a}---\n${b}` }
    const wrong = plan({ past, latest: past, now: { 'a.yaml': `${a}---\nkind: Service\nname: b\nendpionts: []\n` } })
    expect([said(wrong), after(wrong)]).toEqual([['~ a.yaml Service/b'], past])
    const torn = plan({ past, latest: past, now: { 'a.yaml': `${a}---\nkind: "Serv\n` } })
    expect(after(torn)).toEqual(past)
    expect(after(plan({ past, latest: past, now: { 'a.yaml': '' } }))).toEqual(past)
  })

  test('keeps what was never in force, and says so', () => {
    const draft = 'kind: Service\nname: draft\nendpionts: []\n'
    const latest = { 'a.yaml': service('a', 81) }
    const alone = plan({ past: { 'a.yaml': a }, latest, now: { ...latest, 'draft.yaml': draft } })
    expect([said(alone), alone.kept]).toEqual([
      ['~ a.yaml Service/a'],
      [{ id: 'file:draft.yaml', name: undefined, why: 'it was never in force' }],
    ])
    const beside = plan({ past: { 'a.yaml': a }, latest, now: { 'a.yaml': `${service('a', 81)}---\n${draft}` } })
    expect(after(beside)).toEqual({ 'a.yaml': `${a}---\n${draft}` })
    expect(beside.kept).toMatchObject([{ id: 'file:a.yaml', name: 'Service/draft' }])
  })

  test('says of what was sensitive, or is too old, that it cannot be brought back', () => {
    const latest = { 'a.yaml': service('a', 81) }
    const sensitive = plan({ past: without(inForce({ 'a.yaml': a }), { isSensitive: true }), now: latest })
    expect([sensitive.texts, sensitive.lost]).toEqual([
      [],
      [{ id: 'file:a.yaml', name: 'Service/a', why: 'it holds something sensitive, so that its text is not kept' }],
    ])
    const old = plan({ past: without(inForce({ 'a.yaml': a }), {}), now: { ...latest } })
    expect(old.lost[0]?.why).toBe('revision 1 is from before texts were kept')
    const gone = plan({ past: without(inForce({ 'a.yaml': a, 'b.yaml': b }), {}), latest: {}, now: { 'b.yaml': b } })
    expect([gone.texts, gone.lost.map(({ name }) => name)]).toEqual([[], ['Service/a']])
  })

  test('has nothing against a text that is not kept where it is the same still', () => {
    const [past] = inForce({ 'a.yaml': a })
    const version = past?.text?.version ?? ''
    // Of what the document names, something may be another: that is no part of it.
    const resources = [{ typeUrl: 'of a file', name: 'a', version: 'then' }]
    const stored = { key: 'file:a.yaml', origin: { name: 'config/a.yaml' }, resources, nodes: [], isSensitive: true }
    const made = plan({ past: [{ ...stored, text: { version } }], latest: [], now: { 'a.yaml': a } })
    expect(made).toMatchObject({ texts: [], lost: [] })
    // It is from before texts were kept, and what was in force then is in force as it stands now.
    const latest = [{ ...stored, text: { version } }]
    expect(plan({ past: [stored], latest, now: { 'a.yaml': a } })).toMatchObject({ texts: [], lost: [] })
  })

  test('does not write what this version would not take', () => {
    const past = inForce({ 'a.yaml': a }).map((one) => ({
      ...one,
      text: { version: 'old', content: 'kind: Service\nname: a\nold_field: 1\n' },
    }))
    const made = plan({ past, now: { 'a.yaml': service('a', 81) } })
    const why = 'this version of fairlead finds an error in what was written then'
    expect([made.texts, made.lost]).toEqual([[], [{ id: 'file:a.yaml', name: 'Service/a', why }]])
  })
})
