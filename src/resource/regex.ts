import { RE2JS } from 're2js'

/** Whether Envoy (RE2) can compile it; Envoy refuses a whole resource that holds one that it cannot. */
export function isRegex(pattern: string): boolean {
  try {
    RE2JS.compile(pattern)
    return true
  } catch {
    return false
  }
}
