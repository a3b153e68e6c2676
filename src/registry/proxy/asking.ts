import { RemoteError } from '../../remote/errors.ts'
import type { RemoteRepository } from '../../remote/repository.ts'
import type { Failures } from './failures.ts'
import type { Upstream } from './upstreams.ts'

/** Asks an upstream for something small, within a time that clients still wait for. */
export interface Asking {
  /**
   * @param what of the repository: a tag, a digest, `tags`
   * @param patienceMs what is cached already is worth less waiting
   * @returns undefined where it has no such thing, at once for what it did not have a moment ago
   * @throws RemoteError, at once for what failed a moment ago
   */
  ask<T>(
    upstream: Upstream,
    what: string,
    question: (repository: RemoteRepository, signal: AbortSignal) => Promise<T | undefined>,
    patienceMs?: number,
  ): Promise<T | undefined>
}

/** containerd gives up on an answer that does not begin within 30 seconds. */
const PATIENCE_MS = 25_000

export interface AskingDeps {
  readonly failures: Failures
  /** Ends everything. */
  readonly signal: AbortSignal
}

export function createAsking({ failures, signal }: AskingDeps): Asking {
  return {
    async ask(upstream, what, question, patienceMs = PATIENCE_MS) {
      const timeout = AbortSignal.timeout(patienceMs)
      const bounded = AbortSignal.any([signal, timeout])
      const repository = upstream.repository(bounded)
      const key = `${repository.name} ${what}`
      if (failures.recall(upstream.host, key) === 'missing') return undefined
      try {
        const answer = await question(repository, bounded)
        if (answer === undefined) failures.noteMissing(key)
        return answer
      } catch (error) {
        const failure = timeout.aborted && !signal.aborted ? tooSlow(upstream, patienceMs, error) : error
        failures.note(upstream.host, key, failure)
        throw failure
      }
    },
  }
}

function tooSlow({ host }: Upstream, patienceMs: number, cause: unknown): RemoteError {
  return new RemoteError(
    'registry-unreachable',
    `Cannot reach ${host}: no answer within ${patienceMs / 1000} seconds`,
    { cause, detail: { reason: 'stalled' } },
  )
}
