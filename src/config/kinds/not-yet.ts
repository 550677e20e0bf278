/** What of the schema is read and checked, and has no translation yet: refused by name until it has one. */
export interface NotYet {
  /** `Mesh` */
  readonly kinds: ReadonlySet<string>
  /** `Service.dns`, after the message and the field as people write it. */
  readonly fields: ReadonlySet<string>
  /** `Service.protocol=tcp` */
  readonly words: ReadonlySet<string>
}

/** The one list: a field leaves it in the change that translates it. */
export const notYet: NotYet = {
  kinds: new Set(),
  fields: new Set(),
  words: new Set(),
}

/** Nothing is refused but what the schema marks as later. */
export const everything: NotYet = { kinds: new Set(), fields: new Set(), words: new Set() }
