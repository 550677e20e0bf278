import type { NamedForm } from './common-form.ts'

export interface SecretForm extends NamedForm<'Secret'> {
  readonly certificate?: { readonly chain: FileRef; readonly key: FileRef }
  readonly ca?: FileRef
}

export interface FileRef {
  /** As written; whoever reads it resolves it against the document's directory. */
  readonly file: string
}
