import { Argument, InvalidArgumentError, Option } from 'commander'

/** An option whose default stands in the help as one would type it. */
export function option(flags: string, description: string, value?: string): Option {
  const built = new Option(flags, description)
  return value === undefined ? built : built.default(value, value)
}

/** An option that may be given several times. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`).argParser(append)
}

/** The parser of an option that may be given several times; `previous` is undefined at the first. */
export function append(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value]
}

/** An argument that may be left out; given a default, that stands in the help as one would type it. */
export function argument(name: string, description: string, value?: string): Argument {
  const built = new Argument(name, description)
  return value === undefined ? built : built.default(value, value)
}

/** What `repeatablePair` reads. */
export type Pair = readonly [name: string, value: string]

/** An option that may be given several times, each time a name and a value. */
export function repeatablePair(flags: string, description: string, separator: '=' | ':' = '='): Option {
  const form = separator === '=' ? 'KEY=VALUE' : 'NAME:VALUE'
  return repeatable(flags, description).argParser((text: string, previous: readonly Pair[] | undefined) => {
    const at = text.indexOf(separator)
    if (at <= 0) throw new InvalidArgumentError(`Write ${form}.`)
    return [...(previous ?? []), [text.slice(0, at), text.slice(at + 1)] as const]
  })
}

export function allowFileOption(): Option {
  return repeatable('--allow-file <DIR>', 'a directory that the `file:` of a document may lie in, besides its own')
}

export function staticOption(): Option {
  return repeatable('--static <CLUSTER>', 'a cluster that the bootstraps of the Envoys hold')
}

export function jsonOption(): Option {
  return new Option('--json', 'print JSON, for programs')
}

export function envoyApiOption(): Option {
  return new Option('--envoy-api <FILE>', 'the API of the Envoy that is deployed (see `fairlead api import`)')
}
