import type { Server } from 'node:http'
import type { CertificateSource } from './certificate-source.ts'
import { secureConnections } from './secure-connections.ts'

export interface KeptCertificate {
  readonly source: CertificateSource
  /** How often the source is asked again. */
  readonly everyMs: number
  /** Another certificate is in use, for connections from now on. */
  onRenewed(): void
  /** The next certificate cannot be used; the last one stays. */
  onProblem(error: unknown): void
}

/**
 * Has a server that does not listen yet speak TLS, and always with a certificate that is good. Disposing stops the
 * renewals.
 * @throws RegistryError `tls-invalid` when there is no first certificate
 */
export async function keepCertificate(server: Server, kept: KeptCertificate): Promise<Disposable> {
  const { source, everyMs, onRenewed, onProblem } = kept
  const first = await source.next()
  if (first === undefined) throw new Error('a source gives a certificate when it is first asked')
  const connections = secureConnections(server, first)
  let lastProblem = ''
  const renew = async (): Promise<void> => {
    try {
      const next = await source.next()
      if (next === undefined) return
      connections.use(next)
      lastProblem = ''
      onRenewed()
    } catch (error) {
      // Told once, not at every try.
      if (String(error) !== lastProblem) onProblem(error)
      lastProblem = String(error)
    }
  }
  const timer = setInterval(() => void renew(), everyMs).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
