import { lowPort } from './low-port.ts'

/** Ports of 127.0.0.1 for a process that cannot be given port 0: nobody else takes them, be it long before they are used. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) ports.push(await lowPort())
  return ports
}
