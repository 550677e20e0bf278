import { writeFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { jsonSchema } from '../config/kinds/json-schema.ts'
import { documentKinds } from '../config/kinds/kind-name.ts'
import { notYet } from '../config/kinds/not-yet.ts'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { loadOwnComments } from '../resource/own-comments.ts'
import { type Io, print, printJson } from './io.ts'

interface Flags {
  readonly kind?: (typeof documentKinds)[number]
  readonly out?: string
}

const help = `
Editors complete and check documents with it. For one file, in VS Code (YAML
extension), Neovim, IntelliJ and others, as its first line:
  # yaml-language-server: $schema=./fairlead.schema.json

For a directory, in .vscode/settings.json:
  "yaml.schemas": {"./fairlead.schema.json": "config/**/*.yaml"}

It knows fields, values and short forms; what goes together is checked by
\`fairlead validate\`.
`

export function schemaCommand(io: Io): Command {
  return new Command('schema')
    .description('print the JSON Schema of the kinds, for editors')
    .addOption(new Option('--kind <KIND>', 'of one kind only').choices(servedKinds))
    .addOption(new Option('--out <FILE>', 'write it to a file'))
    .addHelpText('after', help)
    .action(async ({ kind, out }: Flags) => {
      const schema = jsonSchema(loadEnvoyApi(), loadOwnComments(), { notYet, ...(kind !== undefined && { kind }) })
      if (out === undefined) return printJson(io, schema)
      try {
        await writeFile(out, `${JSON.stringify(schema, null, 2)}\n`)
      } catch (error) {
        throw new ControlPlaneError('io', `${out} cannot be written: ${messageOf(error)}`, { cause: error })
      }
      print(io, `${out}: put \`# yaml-language-server: $schema=${out}\` above a document`)
    })
}

const servedKinds = documentKinds.filter((kind) => !notYet.kinds.has(kind))
