import { readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { importEnvoyApi } from '../resource/api-import.ts'
import { counted, type Io, print } from './io.ts'
import { option } from './option.ts'

const help = `
An Envoy binary carries the description of its own API. With it, the control
plane knows every field and extension of exactly that Envoy:
  fairlead api import "$(which envoy)"
  fairlead serve --config ./config --envoy-api envoy-api.binpb
`

/** How many names of files that were left out are shown. */
const maxShown = 10

export function apiCommand(io: Io): Command {
  const command = new Command('api').description('know the API of your Envoy (import)').helpCommand(false)
  command
    .command('import')
    .description("take Envoy's API from an Envoy binary, or from a descriptor set")
    .argument('<FILE>', 'an Envoy binary, or a serialized google.protobuf.FileDescriptorSet')
    .addOption(option('--out <FILE>', 'where to write it', 'envoy-api.binpb'))
    .addHelpText('after', help)
    .action(async (file: string, flags: { out: string }) => {
      let bytes: Uint8Array
      try {
        bytes = await readFile(file)
      } catch (error) {
        throw new ControlPlaneError('usage', `${file} cannot be read: ${messageOf(error)}`, { cause: error })
      }
      const imported = importFrom(file, bytes)
      try {
        await writeFile(flags.out, imported.descriptorSet)
      } catch (error) {
        throw new ControlPlaneError('io', `${flags.out} cannot be written: ${messageOf(error)}`, { cause: error })
      }
      print(io, `${flags.out}: ${counted(imported.files, 'file')}, ${imported.envoyFiles} of them Envoy's`)
      if (imported.leftOut.length > 0) print(io, formatLeftOut(imported.leftOut))
      print(io, `Use it: fairlead serve --envoy-api ${flags.out} …, fairlead validate --envoy-api ${flags.out} …`)
    })
  return command
}

function importFrom(file: string, bytes: Uint8Array): ReturnType<typeof importEnvoyApi> {
  try {
    return importEnvoyApi(bytes)
  } catch (error) {
    if (!(error instanceof ControlPlaneError)) throw error
    throw new ControlPlaneError(error.code, `${file}: ${error.message}`, { cause: error })
  }
}

function formatLeftOut(names: readonly string[]): string {
  const more = names.length > maxShown ? [`  and ${names.length - maxShown} more`] : []
  const head = `${counted(names.length, 'file')} left out, for something that they import is not in it:`
  return [head, ...names.slice(0, maxShown).map((name) => `  ${name}`), ...more].join('\n')
}
