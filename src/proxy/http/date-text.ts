let text = ''
let second = -1

/** `date` of a response, made once a second. */
export function dateText(): string {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    text = new Date(now * 1000).toUTCString()
  }
  return text
}
