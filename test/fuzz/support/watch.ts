/** Ends the process with the input on which it hangs: nothing else stops a loop that never waits. */
import { Worker } from 'node:worker_threads'

/** Far more than any input may take on a busy machine. */
const DEADLINE_MS = 20_000
const MAX_BYTES = 64 * 1024

const WATCHER = `
const { workerData } = require('node:worker_threads')
const { writeSync } = require('node:fs')
const { count, length, bytes, deadlineMs } = workerData
let seen = -1, since = Date.now()
setInterval(() => {
  const now = Atomics.load(count, 0)
  if (now !== seen) { seen = now; since = Date.now() }
  else if (now % 2 === 1 && Date.now() - since > deadlineMs) {
    writeSync(2, 'hangs on ' + JSON.stringify(Buffer.from(bytes.slice(0, length[0])).toString()) + '\\n')
    process.kill(process.pid, 'SIGKILL')
  }
}, 500).unref()`

export interface Watch extends Disposable {
  /** Runs one input to its end. */
  run<T>(input: string, task: () => T): T
}

export function createWatch(): Watch {
  const count = new Int32Array(new SharedArrayBuffer(4))
  const length = new Int32Array(new SharedArrayBuffer(4))
  const bytes = new Uint8Array(new SharedArrayBuffer(MAX_BYTES))
  const worker = new Worker(WATCHER, {
    eval: true,
    workerData: { count, length, bytes, deadlineMs: DEADLINE_MS },
  })
  worker.unref()
  return {
    run(input, task) {
      const text = Buffer.from(input).subarray(0, MAX_BYTES)
      bytes.set(text)
      length[0] = text.length
      // Odd while something runs.
      Atomics.add(count, 0, 1)
      try {
        return task()
      } finally {
        Atomics.add(count, 0, 1)
      }
    },
    [Symbol.dispose]: () => void worker.terminate(),
  }
}
