import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { Inventory, Pull } from '../../store/inventory.ts'

/** Notes when images were pulled last. */
export interface PullTimes extends Disposable {
  note(repository: RepositoryName, digest: Digest): void
  /** Writes what was noted. */
  flush(): void
}

/** So long a pull may wait to be written, and so many different images; a machine that stops forgets them. */
const FLUSH_MS = 10_000
const MAX_WAITING = 1000

/** Pulls are many and writes have one place to go: of an image, one write for all pulls of some seconds. */
export function createPullTimes(deps: {
  readonly inventory: Pick<Inventory, 'recordPulls'>
  readonly now: () => number
}): PullTimes {
  const waiting = new Map<string, Pull>()
  const flush = (): void => {
    const pulls = [...waiting.values()]
    waiting.clear()
    if (pulls.length > 0) deps.inventory.recordPulls(pulls)
  }
  const timer = setInterval(flush, FLUSH_MS)
  timer.unref()
  return {
    note(repository, digest) {
      waiting.set(`${repository}@${digest}`, { repository, digest, at: deps.now() })
      if (waiting.size >= MAX_WAITING) flush()
    },
    flush,
    [Symbol.dispose]() {
      clearInterval(timer)
      flush()
    },
  }
}
