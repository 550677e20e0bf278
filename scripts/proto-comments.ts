export interface ProtoMessage {
  readonly name: string
  readonly comment: string
  readonly fields: readonly ProtoField[]
}

export interface ProtoField {
  readonly name: string
  /** As it is declared: `repeated NodeSelector`. */
  readonly type: string
  /** A comment stands for all fields directly below it. */
  readonly comment: string
}

/**
 * Reads the messages of one of our own .proto files with their comments: plain fields, no nesting, no oneof. Descriptors
 * would say more, but not that one comment stands for several fields.
 * @throws Error for a line that it does not understand, so that nothing is left out of the documentation.
 */
export function parseProtoComments(text: string): readonly ProtoMessage[] {
  const messages: { name: string; comment: string; fields: ProtoField[] }[] = []
  let comment: string[] = []
  let current: (typeof messages)[number] | undefined
  let last = ''
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    const [, said] = /^\/\/ ?(.*)$/.exec(line) ?? []
    const [, opened] = /^message (\w+) \{$/.exec(line) ?? []
    const [, type, name] = /^((?:repeated |optional )?[\w.]+) (\w+) = \d+;$/.exec(line) ?? []
    if (said !== undefined) {
      comment.push(said)
    } else if (opened !== undefined) {
      current = { name: opened, comment: comment.join(' '), fields: [] }
      messages.push(current)
      comment = []
    } else if (current !== undefined && type !== undefined && name !== undefined) {
      if (comment.length > 0) last = comment.join(' ')
      current.fields.push({ name, type, comment: last })
      comment = []
    } else if (line === '}') {
      current = undefined
      last = ''
    } else if (line === '') {
      comment = []
    } else if (!/^(syntax|package|import) /.test(line)) {
      throw new Error(`line ${index + 1} is not understood: ${line}`)
    }
  }
  return messages
}
