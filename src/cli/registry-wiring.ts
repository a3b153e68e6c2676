import type { RegistryAppDeps } from '../registry/app.ts'
import type { RegistryLog } from '../registry/log.ts'
import { printableLine } from './printable.ts'
import type { Session } from './session.ts'
import type { Terminal } from './terminal.ts'

/**
 * Puts the registry together. The order in which stores wrap each other is decided here: what observes sees what
 * policy has let through, and policy rules what a proxy stores.
 */
export async function wireRegistry(session: Session, terminal: Terminal): Promise<RegistryAppDeps> {
  const { createRepositoryStore } = await import('../registry/store-repositories.ts')
  const repositories = createRepositoryStore({ store: session.store })
  return { repositories, log: faultLog(terminal) }
}

function faultLog(terminal: Terminal): RegistryLog {
  return {
    failed({ method, url }, cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      terminal.stderr.write(`fault: ${printableLine(`${method} ${url}: ${message}`)}\n`)
    },
  }
}
