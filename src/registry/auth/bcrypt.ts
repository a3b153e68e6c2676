import { Worker } from 'node:worker_threads'
import { RegistryError } from '../errors.ts'
import type { BcryptQuestion } from './bcrypt-worker.ts'

export interface PasswordVerifier {
  /** @throws RegistryError `rate-limited` when too many wait */
  verify(password: string, hash: string): Promise<boolean>
}

/** Together some seconds of work; who comes then may come again. */
const MAX_WAITING = 40

/**
 * Compares passwords with bcrypt's hashes, one after the other, on a thread of its own: requests are served meanwhile.
 * The thread starts with the first question, and keeps the process alive only until it has answered.
 */
export function createPasswordVerifier(): PasswordVerifier {
  const waiting: { resolve(matches: boolean): void; reject(error: Error): void }[] = []
  let worker: Worker | undefined
  const start = (): Worker => {
    const started = new Worker(new URL('./bcrypt-worker.ts', import.meta.url))
    // Answers come in the order of the questions.
    started.on('message', (matches: boolean) => {
      waiting.shift()?.resolve(matches)
      if (waiting.length === 0) started.unref()
    })
    started.on('error', error => {
      worker = undefined
      for (const { reject } of waiting.splice(0)) reject(error)
    })
    return started
  }
  return {
    verify(password, hash) {
      if (waiting.length >= MAX_WAITING)
        return Promise.reject(
          new RegistryError('rate-limited', 'Cannot log in now: too many others do', {
            headers: { 'Retry-After': '5' },
          }),
        )
      worker ??= start()
      worker.ref()
      const answer = Promise.withResolvers<boolean>()
      waiting.push(answer)
      worker.postMessage({ password, hash } satisfies BcryptQuestion)
      return answer.promise
    },
  }
}
