import type { ReadText } from '../../src/fleet/last-good.ts'

/** One that was read, and is wholly in force where nothing else is said. */
export const readText = (id: string, text: string | undefined, more: Partial<ReadText> = {}): ReadText => ({
  id,
  text,
  valid: [],
  invalid: [],
  gone: [],
  hasError: false,
  ...more,
})
