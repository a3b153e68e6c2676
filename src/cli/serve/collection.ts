import { gcSettings } from '../config/gc.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { formatBytes } from '../text/format.ts'
import type { CollectionMetrics } from './collection-metrics.ts'
import type { Notices } from './notices.ts'

/** Collects garbage while the registry serves. Disposing stops it, and waits for a run under way. */
export async function startCollection(
  { store, settings }: Session,
  notices: Notices,
  terminal: Terminal,
  metrics: CollectionMetrics,
): Promise<AsyncDisposable> {
  const { everyMs, graceMs } = gcSettings(settings.gc)
  const stop = new AbortController()
  if (everyMs === undefined) return { [Symbol.asyncDispose]: async () => undefined }
  const { collectRegularly } = await import('../../store/gc-schedule.ts')
  const running = collectRegularly(
    store,
    {
      everyMs,
      graceMs,
      now: terminal.now,
      onCollected({ digests, ingests, bytes }) {
        metrics.collected(bytes)
        if (digests.length === 0 && bytes === 0) return
        notices.info(
          'gc',
          `deleted ${digests.length} blobs and ${ingests.length} abandoned uploads, ${formatBytes(bytes)}`,
        )
      },
      onFailed(error) {
        metrics.failed()
        notices.problem('gc', 'tried again later', error)
      },
    },
    stop.signal,
  )
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
