import { RemoteError } from './errors.ts'

/** One timer that destroys a request when the other side does not do what it owes us. */
export class Watchdog {
  readonly #destroy: (error: Error) => void
  readonly #url: URL
  #timer: NodeJS.Timeout | undefined

  constructor(destroy: (error: Error) => void, url: URL) {
    this.#destroy = destroy
    this.#url = url
  }

  start(
    ms: number,
    owed: 'connect' | 'answer' | 'take more data' | 'send more data' | 'end its answer',
  ): void {
    this.stop()
    this.#timer = setTimeout(() => {
      const problem = owed === 'connect' ? 'no connection' : `it did not ${owed}`
      this.#destroy(
        new RemoteError(
          'registry-unreachable',
          `Cannot reach ${this.#url.host}: ${problem} within ${ms / 1000} seconds`,
          { detail: { reason: owed === 'connect' ? 'connect-timeout' : 'stalled' } },
        ),
      )
    }, ms)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
