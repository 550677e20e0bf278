import type { ErrorCode, YAMLError } from 'yaml'

/** What a Problem says about broken YAML. */
export interface SyntaxMessage {
  readonly message: string
  readonly fix: string
}

const indentation: SyntaxMessage = {
  message: 'The indentation does not fit the lines above.',
  fix: 'Start the keys of one map, and the `-` of one list, in the same column, and close what a bracket opened.',
}

const misplaced: SyntaxMessage = {
  message: 'Something stands here that does not belong to the value before it.',
  fix: 'Look for a missing quote, comma, bracket or line break just before this place.',
}

const tag: SyntaxMessage = {
  message: 'A YAML tag (`!…`) stands here, and it has no meaning in this document.',
  fix: 'Remove the tag, or put quotes around a value that begins with `!`.',
}

const alias: SyntaxMessage = {
  message: 'An anchor (`&…`) or alias (`*…`) is not well formed here.',
  fix: 'Put a space after its name, or quotes around a value that begins with `&` or `*`.',
}

const tooDeep: SyntaxMessage = {
  message: 'The document is nested too deeply to be read.',
  fix: 'Look for an opening bracket that repeats; no Envoy resource is as deep as this.',
}

const implicitKey: SyntaxMessage = {
  message: 'A key does not stand alone on its line with a `:` behind it.',
  fix: 'Check the indentation of this line and the one above, and put quotes around text that runs over lines.',
}

const byCode: Readonly<Record<ErrorCode, SyntaxMessage>> = {
  ALIAS_PROPS: alias,
  BAD_ALIAS: alias,
  MULTIPLE_ANCHORS: alias,
  BAD_DIRECTIVE: {
    message: 'A line that begins with `%` is a YAML directive, and this one is unknown.',
    fix: 'Remove the line; `%YAML 1.2` is the only one that is of use.',
  },
  BAD_DQ_ESCAPE: {
    message: 'A backslash in double quotes begins no escape that YAML knows.',
    fix: 'Write `\\\\` for a backslash, or use single quotes, where a backslash is only itself.',
  },
  BAD_INDENT: indentation,
  BAD_PROP_ORDER: misplaced,
  BAD_SCALAR_START: {
    message: 'A value or key begins with a character that YAML reserves, such as `@`, `%` or a backtick.',
    fix: "Put quotes around it: '@type'.",
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'A second `:` on one line would be a map within a map, or the line is indented too far.',
    fix: 'Put quotes around a value that holds `: `, or mend the indentation.',
  },
  BLOCK_IN_FLOW: {
    message: 'An indented map or list stands within brackets.',
    fix: 'Write what is within `{}` or `[]` in that form too.',
  },
  DUPLICATE_KEY: { message: 'A key stands twice in one map.', fix: 'Keep one of them.' },
  IMPOSSIBLE: misplaced,
  KEY_OVER_1024_CHARS: {
    message: 'A key is longer than 1024 characters.',
    fix: 'Look for a missing quote or line break: this is hardly meant to be a key.',
  },
  MISSING_CHAR: {
    message: 'A character is missing here: a `:` after a key, a comma, a space, or a closing quote or bracket.',
    fix: 'Look at this line and the one above.',
  },
  MULTILINE_IMPLICIT_KEY: implicitKey,
  MULTIPLE_DOCS: misplaced,
  MULTIPLE_TAGS: tag,
  NON_STRING_KEY: { message: 'A key is no text.', fix: 'Put quotes around the key.' },
  RESOURCE_EXHAUSTION: tooDeep,
  TAB_AS_INDENT: {
    message: 'A tab stands where YAML allows only spaces.',
    fix: 'Indent with spaces.',
  },
  TAG_RESOLVE_FAILED: tag,
  UNEXPECTED_TOKEN: misplaced,
  BAD_COLLECTION_TYPE: tag,
}

/**
 * Our own sentences for the parser's error: the parser's quote the document, which may hold a private key. Its text is only
 * looked at to tell apart what shares a code.
 */
export function syntaxMessage({ code, message }: Pick<YAMLError, 'code' | 'message'>): SyntaxMessage {
  if (code === 'MISSING_CHAR' && message.startsWith('Missing closing')) {
    return { message: 'A quoted text is not closed.', fix: 'Put the closing quote where the text ends.' }
  }
  if (code === 'MISSING_CHAR' && message.startsWith('Implicit map keys')) {
    return { message: 'A key has no `:` behind it.', fix: 'Write `key: value`, or mend the indentation of this line.' }
  }
  return byCode[code] ?? misplaced
}

export const tooDeepMessage: SyntaxMessage = tooDeep

export const unreadableMessage: SyntaxMessage = {
  message: 'The text cannot be read as YAML.',
  fix: 'Check it with another YAML reader, and look at what was changed last.',
}
