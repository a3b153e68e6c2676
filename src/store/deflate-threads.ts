import { Worker } from 'node:worker_threads'
import { isErrno } from '../oci/errors.ts'
import {
  compileDeflate,
  createDeflater,
  type DeflateJob,
  type Deflater,
  type DeflateThreads,
} from '../oci/layer/deflate/deflater.ts'

/** Not a file: it is the same in one bundled file, and needs no types stripped. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const deflate = (${createDeflater})(workerData)
parentPort.on('message', job => parentPort.postMessage(deflate(job)))
`

interface Waiting {
  readonly job: DeflateJob
  readonly outcome: PromiseWithResolvers<number>
}

/**
 * Threads that deflate, started when they are first wanted. They keep the process alive only while they work. Where the
 * machine gives no more of them, as in a container with a limit, this thread does their work.
 */
export function createDeflateThreads(count: number, start = startThread): DeflateThreads {
  const waiting: Waiting[] = []
  const idle: DeflateThread[] = []
  let working = 0
  let module: WebAssembly.Module | undefined
  let own: Deflater | undefined
  const compiled = () => {
    module ??= compileDeflate()
    return module
  }
  const deflateHere: Deflater = job => {
    own ??= createDeflater(compiled())
    return own(job)
  }
  const startIfPossible = (): DeflateThread => {
    try {
      return start(compiled())
    } catch (error) {
      if (!isErrno(error, 'ERR_WORKER_INIT_FAILED')) throw error
      return { deflate: async job => deflateHere(job) }
    }
  }
  const work = async (): Promise<void> => {
    let thread = idle.pop()
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { job, outcome } = next
      try {
        thread ??= startIfPossible()
        outcome.resolve(await thread.deflate(job))
      } catch (error) {
        outcome.reject(error)
        return
      }
    }
    if (thread !== undefined) idle.push(thread)
  }
  const workUntilDone = async (): Promise<void> => {
    working++
    while (waiting.length > 0) await work()
    working--
  }
  return {
    count,
    deflateHere,
    deflate(job) {
      const outcome = Promise.withResolvers<number>()
      waiting.push({ job, outcome })
      if (working < count) void workUntilDone()
      return outcome.promise
    },
  }
}

export interface DeflateThread {
  /** One after the other. */
  deflate(job: DeflateJob): Promise<number>
}

function startThread(module: WebAssembly.Module): DeflateThread {
  const worker = new Worker(PROGRAM, { eval: true, workerData: module })
  worker.unref()
  return {
    deflate(job) {
      const { promise, resolve, reject } = Promise.withResolvers<number>()
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.ref()
      worker.postMessage(job)
      return promise.finally(() => {
        worker.off('error', reject)
        worker.unref()
      })
    },
  }
}
