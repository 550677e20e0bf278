import { toBinary } from '@bufbuild/protobuf'
import type { EnvoyApi } from './envoy-api.ts'
import { readMessage } from './json/message-reader.ts'
import { type OwnMessage, ownMessage } from './own-message.ts'
import { ruleProblems } from './parse-resource.ts'
import type { MapTree, TreeProblem } from './tree.ts'

export interface ReadOwn {
  /** What could be read, also where there are problems. */
  readonly message: OwnMessage
  /** The canonical encoding of it. */
  readonly bytes: Uint8Array
  /** What is wrong with types, and with the rules of the schema. */
  readonly problems: readonly TreeProblem[]
}

/**
 * Reads a message of our own schemas from its canonical JSON form, and holds it against the schema's rules.
 * @param unread what could not be read before, by path in `tree`: what follows from it is not told.
 * @throws ControlPlaneError `api` when the descriptors in use lack it.
 */
export function readOwn(api: EnvoyApi, word: string, tree: MapTree, unread: readonly TreeProblem[]): ReadOwn {
  const desc = ownMessage(api, `fairlead.v1.${word}`)
  const { message, problems } = readMessage(api, desc, tree, '')
  const broken = ruleProblems(api, { desc, tree }, message, [...unread, ...problems], '')
  return {
    message: message as unknown as OwnMessage,
    bytes: toBinary(desc, message),
    problems: [...problems, ...broken],
  }
}
