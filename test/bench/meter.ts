import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a process used between a mark and an event. */
export interface Usage {
  /** User and system time of all its threads, garbage collection included. */
  readonly cpuMs: number
  /** From the mark to the event. */
  readonly wallMs: number
}

export interface Memory {
  /** Live JavaScript objects and buffers, after garbage collection. */
  readonly liveBytes: number
  readonly residentBytes: number
}

export interface Counts {
  /** Open now. */
  readonly streams: number
  readonly nacks: number
}

/** What is still done after the last ACK (callbacks of writes, idle work of the collector) belongs to the round. */
const settleMs = 30

/** No round takes that long, on any machine. */
const patienceMs = 300_000

/** Measures the process that it is in, from a mark until so many ACKs came. */
export class Meter {
  #cpuAtMark = process.cpuUsage()
  #markedAt = performance.now()
  #acks = 0
  #lastAckAt = 0
  #wanted: { readonly acks: number; readonly resolve: () => void } | undefined
  #profiler: Session | undefined

  /** To be called for every ACK. */
  readonly noteAck = (): void => {
    this.#acks++
    this.#lastAckAt = performance.now()
    if (this.#wanted !== undefined && this.#acks >= this.#wanted.acks) this.#wanted.resolve()
  }

  mark(): void {
    this.#acks = 0
    this.#markedAt = performance.now()
    this.#cpuAtMark = process.cpuUsage()
  }

  /** @throws Error when there are not so many ACKs in time, or more. */
  async until(acks: number): Promise<Usage> {
    if (this.#acks < acks) {
      const abort = new AbortController()
      const enough = new Promise<void>((resolve) => {
        this.#wanted = { acks, resolve }
      })
      const tooLate = sleep(patienceMs, undefined, { signal: abort.signal }).then(() => {
        throw new Error(`${this.#acks} of ${acks} ACKs after ${patienceMs} ms`)
      })
      tooLate.catch(() => {})
      await Promise.race([enough, tooLate]).finally(() => abort.abort())
      this.#wanted = undefined
    }
    await sleep(settleMs)
    if (this.#acks !== acks) throw new Error(`${this.#acks} ACKs where ${acks} were due`)
    const { user, system } = process.cpuUsage(this.#cpuAtMark)
    return { cpuMs: (user + system) / 1000, wallMs: this.#lastAckAt - this.#markedAt }
  }

  async memory(): Promise<Memory> {
    for (let round = 0; round < 3; round++) {
      globalThis.gc?.()
      await sleep(settleMs)
    }
    const { heapUsed, external, rss } = process.memoryUsage()
    return { liveBytes: heapUsed + external, residentBytes: rss }
  }

  async startProfile(): Promise<void> {
    this.#profiler = new Session()
    this.#profiler.connect()
    await this.#profiler.post('Profiler.enable')
    await this.#profiler.post('Profiler.setSamplingInterval', { interval: 200 })
    await this.#profiler.post('Profiler.start')
  }

  /** Writes a file that Chrome's developer tools open. */
  async stopProfile(file: string): Promise<void> {
    const stopped = await this.#profiler?.post('Profiler.stop')
    this.#profiler?.disconnect()
    if (stopped !== undefined) writeFileSync(file, JSON.stringify(stopped.profile))
  }
}
