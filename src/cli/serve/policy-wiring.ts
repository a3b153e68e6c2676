import type { RegistryAppDeps } from '../../registry/app.ts'
import type { Webhooks } from '../../registry/events/webhooks.ts'
import type { RetentionReport } from '../../registry/policy/run-retention.ts'
import type { RepositoryStore } from '../../registry/repository-store.ts'
import type { Session } from '../session.ts'
import type { Notices } from './notices.ts'

/** How often a server looks for manifests of which the rows say nothing yet. */
const DESCRIBE_MS = 30_000

/** However often it is asked for: the machine has more to do. */
const MIN_PAUSE_MS = 1000

/** Node fires a longer timer at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

export interface WiredPolicy {
  readonly repositories: RepositoryStore
  readonly extras: NonNullable<RegistryAppDeps['extras']>
}

export interface PolicyWiringDeps {
  readonly notices: Notices
  readonly now: () => number
  /** Is told what retention removes. */
  readonly listen?: Webhooks['listen']
}

/** Puts policy around a store, and does in the background what it needs, until the app closes. */
export async function wirePolicy(
  { store, settings }: Session,
  repositories: RepositoryStore,
  { notices, now, listen }: PolicyWiringDeps,
): Promise<WiredPolicy> {
  const { createPolicyStore } = await import('../../registry/policy/policy-store.ts')
  const { createPullTimes } = await import('../../registry/policy/pull-times.ts')
  const { describeManifests } = await import('../../store/describe.ts')
  const { inventory } = store
  const { rules, retention } = settings.policy
  const pulls = createPullTimes({ inventory, now })
  const closing = new AbortController()
  const { signal } = closing

  const retain = async (): Promise<RetentionReport> => {
    const { runRetention } = await import('../../registry/policy/run-retention.ts')
    // What was pulled counts from now on.
    pulls.flush()
    const { isImmutable } = rules
    return runRetention(store, {
      rules: retention.rules,
      isImmutable,
      dryRun: false,
      now,
      signal,
      onRemoved: removed => listen?.({ kind: 'delete', ...removed }, 'retention'),
    })
  }
  const retainRegularly = async (everyMs: number): Promise<void> => {
    const { workRegularly } = await import('../../store/regular-work.ts')
    const work = {
      kind: 'retention',
      everyMs: Math.max(everyMs, MIN_PAUSE_MS),
      now,
      run: retain,
      onDone({ tags, untagged }: RetentionReport) {
        if (tags + untagged > 0)
          notices.info('retention', `removed ${tags} tags and ${untagged} manifests without a tag`)
      },
      onFailed: (error: unknown) => notices.problem('retention', 'it is tried again later', error),
    } as const
    await workRegularly(store.disk, work, signal)
  }
  const jobs = [
    repeat(
      DESCRIBE_MS,
      signal,
      notices,
      'describe',
      async () => void (await describeManifests(store, signal, now() - DESCRIBE_MS)),
    ),
    ...(retention.rules.length > 0 && retention.everyMs !== undefined
      ? [retainRegularly(retention.everyMs)]
      : []),
  ]
  const close = async (): Promise<void> => {
    closing.abort()
    await Promise.all(jobs)
    pulls[Symbol.dispose]()
  }
  return {
    repositories: createPolicyStore({ store: repositories, inventory, rules, pulls }),
    extras: [app => void app.addHook('onClose', close)],
  }
}

/** Does the work now, and again so long after it has ended, until the signal. A failure is told, and tried again. */
async function repeat(
  intervalMs: number,
  signal: AbortSignal,
  notices: Notices,
  subject: string,
  work: () => Promise<void>,
): Promise<void> {
  const { setTimeout: delay } = await import('node:timers/promises')
  while (!signal.aborted) {
    try {
      await work()
    } catch (error) {
      if (!signal.aborted) notices.problem(subject, 'it is tried again later', error)
    }
    // Rejected by the signal alone.
    await delay(Math.min(Math.max(intervalMs, MIN_PAUSE_MS), MAX_TIMER_MS), undefined, {
      signal,
      ref: false,
    }).catch(() => undefined)
  }
}
