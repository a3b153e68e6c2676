import { CodedError } from '../oci/errors.ts'
import { RemoteError } from './errors.ts'
import type { Endpoint } from './registry-config.ts'

export interface MirrorChoice {
  /**
   * The answer of the first endpoint that has one. A mirror that fails is as good as one that has nothing; what the
   * registry itself says is final.
   */
  first<T>(
    mirrors: readonly Endpoint[],
    own: Endpoint,
    ask: (endpoint: Endpoint) => Promise<T | undefined>,
  ): Promise<T | undefined>
}

/** For so long a mirror that could not be reached is not asked again. */
const REST_MS = 30_000

export function createMirrorChoice(now: () => number): MirrorChoice {
  const restingUntil = new Map<string, number>()
  return {
    async first(mirrors, own, ask) {
      const outcomes: string[] = []
      for (const mirror of mirrors) {
        if ((restingUntil.get(mirror.base.href) ?? 0) > now()) {
          outcomes.push(`its mirror ${mirror.host} could not be reached a moment ago`)
          continue
        }
        try {
          const answer = await ask(mirror)
          if (answer !== undefined) return answer
          outcomes.push(`its mirror ${mirror.host} does not have it`)
        } catch (error) {
          if (!(error instanceof CodedError)) throw error
          if (error.code === 'registry-unreachable') restingUntil.set(mirror.base.href, now() + REST_MS)
          outcomes.push(`its mirror ${mirror.host} failed too: ${error.message}`)
        }
      }
      try {
        return await ask(own)
      } catch (error) {
        throw error instanceof RemoteError && outcomes.length > 0
          ? withHint(error, outcomes.join('; '))
          : error
      }
    },
  }
}

function withHint(error: RemoteError, hint: string): RemoteError {
  return new RemoteError(error.code, error.message, { cause: error, detail: error.detail, hint })
}
