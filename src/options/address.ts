import { isIP, isIPv4 } from 'node:net'
import { hostPort } from '../resource/host-port.ts'

export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string
  readonly port: number
}

/** Reads `host:port`, `[::1]:port`, or `:port` for every IPv4 address of the machine; undefined if it is none. */
export function parseAddress(text: string): Address | undefined {
  const [, bracketed, plain = '', digits = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === '' || port > 65_535) return undefined
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host: bracketed, port } : undefined
  if (plain === '') return { host: '0.0.0.0', port }
  const isNumeric = /^[\d.]+$/.test(plain)
  const isUsable = isNumeric ? isIPv4(plain) : /^[A-Za-z0-9_](?:[\w.-]*\w)?$/.test(plain)
  return isUsable ? { host: plain, port } : undefined
}

export function formatAddress({ host, port }: Address): string {
  return hostPort(host, port)
}

/** Whether only this machine reaches a server that listens on `address` (`host:port`). */
export function isLoopback(address: string): boolean {
  const host = parseAddress(address)?.host.toLowerCase()
  if (host === undefined) return false
  if (host === 'localhost' || host === '::1') return true
  return isIPv4(host.replace(/^::ffff:/, '')) && /^(?:::ffff:)?127\./.test(host)
}
