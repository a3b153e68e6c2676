import type { RegistryAppDeps } from '../../registry/app.ts'
import type { Webhooks } from '../../registry/events/webhooks.ts'
import type { RegistryLog } from '../../registry/log.ts'
import type { Collector } from '../../registry/operations/metrics.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { type WiredAccess, wireAccess } from './access-wiring.ts'
import { wireApi } from './api-wiring.ts'
import type { Notices } from './notices.ts'
import { wirePolicy } from './policy-wiring.ts'
import { wireProxy } from './proxy-wiring.ts'

/**
 * Puts the registry together. The order in which stores wrap each other is decided here: what observes sees what
 * policy has let through, and policy rules what a proxy stores.
 */
export async function wireRegistry(
  session: Session,
  terminal: Terminal,
  notices: Notices,
  listen?: Webhooks['listen'],
): Promise<RegistryAppDeps & WiredAccess & { readonly collectors: readonly Collector[] }> {
  const { createRepositoryStore } = await import('../../registry/store-repositories.ts')
  const { createFreeingStore } = await import('../../registry/freeing-store.ts')
  const { withReserve } = await import('../../store/reserve.ts')
  const { layout } = session.store.disk
  const stored = createFreeingStore(createRepositoryStore({ store: session.store }), action =>
    withReserve(layout, action),
  )
  const proxied = await wireProxy(session, stored, notices, terminal)
  const policy = await wirePolicy(session, proxied.repositories, {
    notices,
    now: terminal.now,
    ...(listen !== undefined && { listen }),
  })
  const access = await wireAccess(session, terminal, notices)
  const api = await wireApi(session, access.access)
  const extras = [...proxied.extras, ...policy.extras, ...access.extras, api]
  const { names, collectors } = proxied
  return { ...policy, ...access, names, collectors, extras, log: faultLog(notices) }
}

function faultLog(notices: Notices): RegistryLog {
  return {
    failed: ({ id, method, url }, cause) =>
      notices.problem('fault', `request ${id} failed: ${method} ${url}`, cause),
  }
}
