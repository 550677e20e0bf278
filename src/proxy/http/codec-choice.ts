/** What an HTTP/2 client that knows beforehand sends first: `PRI * HTTP/2.0`; no method of HTTP/1 begins so. */
export function isHttp2Preface(start: Buffer): boolean {
  return start.length >= 3 && start[0] === 0x50 && start[1] === 0x52 && start[2] === 0x49
}
