/** A bounded number of equal buffers, made when they are first wanted and kept. */
export interface BufferPool {
  /** Undefined when all are out: whoever asks must get on without one, since their holders may wait for a slow client. */
  take(): Buffer | undefined
  /** The giver must not touch the buffer again. */
  give(buffer: Buffer): void
}

export function createBufferPool({
  bufferBytes,
  count,
}: {
  readonly bufferBytes: number
  readonly count: number
}): BufferPool {
  const idle: Buffer[] = []
  let made = 0
  return {
    take() {
      const buffer = idle.pop()
      if (buffer !== undefined || made === count) return buffer
      made++
      return Buffer.allocUnsafeSlow(bufferBytes)
    },
    give(buffer) {
      idle.push(buffer)
    },
  }
}
