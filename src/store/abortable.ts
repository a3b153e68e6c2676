import { Readable } from 'node:stream'

/**
 * The source's chunks until the signal aborts, at once even while the source is silent: then it throws the signal's
 * reason and leaves the source behind (a stream is destroyed).
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let isDone = false
  try {
    while (true) {
      const result = await nextOrAbort(iterator, signal)
      isDone = result.done === true
      if (result.done) return
      yield result.value
    }
  } finally {
    if (signal.aborted) leave(source, iterator)
    else if (!isDone) await iterator.return?.()
  }
}

/** One listener at a time: racing against one long-lived promise would gather a reaction per chunk. */
function nextOrAbort<T>(iterator: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** Does not wait: a silent generator would answer `return` only after the `next` that never comes. */
function leave<T>(source: AsyncIterable<T>, iterator: AsyncIterator<T>): void {
  if (source instanceof Readable) source.destroy()
  const ignore = (): void => undefined
  iterator.return?.().then(ignore, ignore)
}
