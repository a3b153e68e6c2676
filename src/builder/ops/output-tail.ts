/** Enough to see why a step failed, whatever it printed. */
const MAX_LINES = 10
const MAX_BYTES = 16 * 1024

/** Keeps the last lines of what a step prints. */
export function createOutputTail() {
  let kept = Buffer.alloc(0)
  return {
    add(chunk: Uint8Array): void {
      const end = chunk.subarray(Math.max(0, chunk.length - MAX_BYTES))
      kept = Buffer.concat([kept, end])
      if (kept.length > MAX_BYTES) kept = kept.subarray(kept.length - MAX_BYTES)
    },
    /** Without what stood before the last carriage return of a line: progress bars redraw themselves so. */
    lines(): readonly string[] {
      const lines = kept.toString('utf8').split('\n')
      if (lines.at(-1) === '') lines.pop()
      return lines.slice(-MAX_LINES).map(lastDrawn)
    },
  }
}

function lastDrawn(line: string): string {
  const text = line.replace(/\r+$/, '')
  return text.slice(text.lastIndexOf('\r') + 1)
}
