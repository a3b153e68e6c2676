import { Readable } from 'node:stream'

/**
 * The source's chunks until the signal aborts, at once even while the source is silent: then it throws the signal's
 * reason and leaves the source behind (a stream is destroyed).
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let isDone = false
  let stopWaiting: (reason: unknown) => void = () => undefined
  // One listener for all chunks, which the chunk being waited for puts its own end into.
  const onAbort = (): void => stopWaiting(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    while (true) {
      signal.throwIfAborted()
      const result = await new Promise<IteratorResult<T>>((resolve, reject) => {
        stopWaiting = reject
        iterator.next().then(resolve, reject)
      })
      isDone = result.done === true
      if (result.done) return
      yield result.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    if (signal.aborted) leave(source, iterator)
    else if (!isDone) await iterator.return?.()
  }
}

/** Does not wait: a silent generator would answer `return` only after the `next` that never comes. */
function leave<T>(source: AsyncIterable<T>, iterator: AsyncIterator<T>): void {
  if (source instanceof Readable) source.destroy()
  const ignore = (): void => undefined
  iterator.return?.().then(ignore, ignore)
}
