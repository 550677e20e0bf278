import type { HeaderOption } from '../config/header-option.ts'
import { Headers } from '../http/headers.ts'

/** The headers of a check, with what its cluster's configuration adds and takes away. */
export function checkHeaders(
  own: Readonly<Record<string, string>>,
  added: readonly HeaderOption[],
  removed: readonly string[],
): Headers {
  const headers = Headers.of(own)
  for (const { name, format, action } of added) {
    // Of what formats may tell nothing is there: there is no client.
    const isThere = headers.has(name)
    if (action === 'APPEND_IF_EXISTS_OR_ADD') headers.append(name, format)
    else if (action === 'ADD_IF_ABSENT' ? !isThere : action === 'OVERWRITE_IF_EXISTS_OR_ADD' || isThere) {
      headers.set(name, format)
    }
  }
  for (const name of removed) headers.remove(name)
  return headers
}
