import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { JobName, Jobs, Message, Reply } from './jobs.ts'

/** A process of its own that loads servers, so that the bench's own work is in nobody's way. */
export interface LoadClient extends AsyncDisposable {
  do<Name extends JobName>(kind: Name, job: Jobs[Name]['job']): Promise<Jobs[Name]['result']>
  /** Ends the jobs that run for a time. */
  stop(): void
}

export function startLoadClient(): LoadClient {
  const child = fork(join(import.meta.dirname, 'load-process.ts'), { serialization: 'advanced' })
  const waiting = new Map<number, { resolve(result: never): void; reject(error: Error): void }>()
  let asked = 0
  child.on('message', reply => {
    const told = reply as Reply
    const asker = waiting.get(told.id)
    waiting.delete(told.id)
    if ('error' in told) asker?.reject(new Error(told.error))
    else asker?.resolve(told.result as never)
  })
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  ended.then(() => {
    for (const { reject } of waiting.values()) reject(new Error('The load process has ended'))
  })
  const send = (message: Message): void => {
    child.send(message)
  }
  return {
    do: (kind, job) =>
      new Promise((resolve, reject) => {
        const id = asked++
        waiting.set(id, { resolve, reject })
        send({ id, kind, job } as Message)
      }),
    stop: () => send({ kind: 'stop' }),
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}
