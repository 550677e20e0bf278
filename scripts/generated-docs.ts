/** The pages of docs/ that are made from the product itself, so that they cannot say anything else. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { main } from '../src/cli/main.ts'
import { formatOptionValue } from '../src/options/option-value.ts'
import { flagOf, type OptionSpec, optionTable, variableOf } from '../src/options/options.ts'
import { kindReference } from './kind-reference.ts'
import { type ProtoMessage, parseProtoComments } from './proto-comments.ts'
import { sizingPage } from './sizing-page.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Path below the repository's root, and text. */
export type GeneratedDocs = ReadonlyMap<string, string>

export async function generateDocs(): Promise<GeneratedDocs> {
  const commands = await readCommands([])
  const benchmarks = readFileSync(`${root}docs/benchmarks.md`, 'utf8')
  const pages = new Map([
    ['docs/cli.md', cliPage(commands)],
    ['docs/config-reference.md', configPage()],
  ])
  // Benchmarks of before fleets were measured have nothing to plan by.
  if (benchmarks.includes('| fleet, ')) pages.set('docs/sizing.md', sizingPage(benchmarks))
  return pages
}

const generatedNote = '<!-- Made by `npm run docs`. Do not edit: a test compares this page with the product. -->'

// ---- docs/cli.md

interface CommandHelp {
  /** `fairlead snapshots list`; the first is `fairlead`. */
  readonly name: string
  readonly help: string
}

/** The help of a command and of all commands below it, as the program itself prints it. */
async function readCommands(path: readonly string[]): Promise<readonly CommandHelp[]> {
  const help = await helpOf(path)
  const commands = [{ name: ['fairlead', ...path].join(' '), help }]
  for (const name of subcommandsIn(help)) commands.push(...(await readCommands([...path, name])))
  return commands
}

async function helpOf(path: readonly string[]): Promise<string> {
  let text = ''
  const sink = {
    isTTY: false,
    write: (chunk: string): boolean => {
      text += chunk
      return true
    },
  }
  const stream = sink as unknown as NodeJS.WritableStream & { readonly isTTY: boolean }
  const signal = new AbortController().signal
  const code = await main([...path, '--help'], { out: stream, err: stream, env: {}, cwd: root, signal, hurry: signal })
  if (code !== 0) throw new Error(`fairlead ${path.join(' ')} --help ended with ${code}: ${text}`)
  return text.trimEnd()
}

/** The names below `Commands:`; each stands two spaces in, its description further right. */
function subcommandsIn(help: string): readonly string[] {
  const [, block = ''] = /^Commands:\n((?: .*\n?)*)/m.exec(help) ?? []
  return [...block.matchAll(/^ {2}([a-z][a-z-]*)/gm)]
    .map(([, name]) => name as string)
    .filter((name) => name !== 'help')
}

function cliPage(commands: readonly CommandHelp[]): string {
  const sections = commands.map(({ name, help }) => `## ${name}\n\n\`\`\`text\n${help}\n\`\`\`\n`)
  return `${generatedNote}

# The command line

\`fairlead\` is \`dist/cli/main.js\`: from a checkout, after \`npm run build\`, write \`node dist/cli/main.js\` or
\`npx fairlead\`. Results go to stdout and everything else to stderr, so that \`fairlead nodes --json | jq\` works while
something is wrong.

## Exit codes

| code | meaning |
|---|---|
| 0 | fine; there may be warnings |
| 1 | the configuration has errors; of \`rollback\`: a document cannot be brought back, or somebody was faster |
| 2 | wrong use: an unknown option, a file or address that cannot be used |
| 3 | a server cannot be reached: the control plane, or etcd |

## Options of \`serve\`

Every option has a flag, a variable and a key in the options file (\`--options FILE\`, or \`./fairlead.yaml\` if it
is there). A flag beats a variable, that the file, that the default; \`fairlead serve --print-options\` shows which
did. An unknown flag or key is an error. Durations need a unit (\`500ms\`, \`2s\`, \`1m30s\`); sizes may have one
(\`64MiB\`). A flag that may be repeated takes commas in its variable and a list in the file.

${optionTables()}
${sections.join('\n')}`
}

function optionTables(): string {
  const groups = [...new Set(optionTable.map(({ group }) => group))]
  return groups
    .map((group) => {
      const rows = optionTable.filter((spec) => spec.group === group).map(optionRow)
      return `### ${group}\n\n| flag | variable | key | default | |\n|---|---|---|---|---|\n${rows.join('\n')}\n`
    })
    .join('\n')
}

function optionRow(spec: OptionSpec): string {
  const { name, description, isFileOnly, placeholder } = spec
  const flag = isFileOnly === true ? '–' : code(placeholder === '' ? flagOf(name) : `${flagOf(name)} ${placeholder}`)
  const variable = isFileOnly === true ? '–' : code(variableOf(name))
  return `| ${flag} | ${variable} | ${code(name)} | ${defaultOf(spec)} | ${description} |`
}

function defaultOf({ type, default: value }: OptionSpec): string {
  const isNothing = value === undefined || (typeof value === 'object' && Object.keys(value as object).length === 0)
  return isNothing ? '–' : code(String(formatOptionValue(type, value)))
}

const code = (text: string): string => `\`${text}\``

// ---- docs/config-reference.md

function configPage(): string {
  const messages = parseProtoComments(readFileSync(`${root}proto/fairlead/v1/document.proto`, 'utf8'))
  const sections = messages.toReversed().map(messageSection)
  return `${generatedNote}

# Configuration reference

The fields of a document, from [proto/fairlead/v1](../proto/fairlead/v1). The guide is [config.md](config.md); what stands in
\`resources\` is Envoy's own API, whose reference is Envoy's. \`fairlead schema\` prints the same for your editor.

How values are written: durations \`500ms\`, \`5s\`, \`1m30s\`; percentages \`10\` or \`10%\`; sizes \`65536\` or \`64KiB\`. Where a
list is possible, one value stands for a list of one.

${sections.join('\n')}
${kindReference()}`
}

function messageSection({ name, comment, fields }: ProtoMessage): string {
  const rows = fields.map((field) => `| ${code(field.name)} | ${code(field.type)} | ${field.comment} |`)
  return `## ${name}\n\n${comment}\n\n| field | type | |\n|---|---|---|\n${rows.join('\n')}\n`
}
