import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ControlPlaneError, messageOf } from '../errors.ts'

/** The comments of proto/fairlead/v1 as one line each, by full name: `fairlead.v1.Service.port`. */
export type OwnComments = Readonly<Record<string, string>>

/** Where the build puts them; the same path from src/ and from dist/. */
const file = fileURLToPath(new URL('../../dist/api/comments.json', import.meta.url))

/** @throws ControlPlaneError `api` when the package was not built. */
export function loadOwnComments(): OwnComments {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as OwnComments
  } catch (error) {
    throw new ControlPlaneError('api', `cannot read what the kinds' fields mean: ${messageOf(error)}`, { cause: error })
  }
}
