/** Work in turns: each has the thread for a moment, then whatever else there is to do, then the next one. */
export interface SendTurns {
  /** Calls the function once, when its turn has come. */
  take(turn: () => void): void
}

export function createSendTurns(): SendTurns {
  const waiting: (() => void)[] = []
  const next = (): void => {
    const turn = waiting.shift()
    if (waiting.length > 0) setImmediate(next)
    turn?.()
  }
  return {
    take(turn) {
      waiting.push(turn)
      if (waiting.length === 1) setImmediate(next)
    },
  }
}
