import { readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { importEnvoyApi } from '../resource/api-import.ts'
import { type Io, print } from './io.ts'

const help = `
An Envoy binary carries the description of its own API. With it, the control plane knows every field and extension of
exactly that Envoy:
  fairlead api import $(which envoy) --out envoy-api.binpb
  fairlead serve --config ./config --envoy-api envoy-api.binpb
`

export function apiCommand(io: Io): Command {
  const command = new Command('api').description("manage descriptions of Envoy's API")
  command
    .command('import')
    .description('take the API from an Envoy binary, or from a descriptor set')
    .argument('<file>', 'an Envoy binary, or a serialized google.protobuf.FileDescriptorSet')
    .option('--out <file>', 'where to write it', 'envoy-api.binpb')
    .addHelpText('after', help)
    .action(async (file: string, flags: { out: string }) => {
      let bytes: Uint8Array
      try {
        bytes = await readFile(file)
      } catch (error) {
        throw new ControlPlaneError('usage', `${file} cannot be read: ${messageOf(error)}`, { cause: error })
      }
      const imported = importEnvoyApi(bytes)
      try {
        await writeFile(flags.out, imported.descriptorSet)
      } catch (error) {
        throw new ControlPlaneError('io', `${flags.out} cannot be written: ${messageOf(error)}`, { cause: error })
      }
      print(io, `${flags.out}: ${imported.files} files, ${imported.envoyFiles} of them Envoy's`)
      print(io, `use it: fairlead serve --envoy-api ${flags.out} …, fairlead validate --envoy-api ${flags.out} …`)
    })
  return command
}
