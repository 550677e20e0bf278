import type { TypeUrl } from './type-url.ts'

/** What names a resource: a resource itself, or a reference to one. */
export interface Named {
  readonly typeUrl: TypeUrl
  readonly name: string
}

/** Of one resource everywhere the same, and of no two. */
export function keyOf({ typeUrl, name }: Named): string {
  return `${typeUrl}\0${name}`
}
