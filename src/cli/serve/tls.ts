import { hostname } from 'node:os'
import type { AppExtra } from '../../registry/app.ts'
import type { Authority } from '../../registry/tls/authority.ts'
import type { KeptCertificate } from '../../registry/tls/kept-certificate.ts'
import type { TlsSettings } from '../config/serve.ts'
import type { Terminal } from '../terminal.ts'
import { hostAddresses, hostNames } from './host-names.ts'
import type { Notices } from './notices.ts'

/** What `serve` needs to speak TLS. */
export interface WiredTls {
  readonly kept: KeptCertificate
  readonly extras: readonly AppExtra[]
  /** Absent with files of the user's own. */
  readonly authority?: Authority
}

export interface TlsDeps {
  readonly settings: TlsSettings
  /** Of the store. */
  readonly root: string
  /** That it listens on: a name there is among those of the certificate. */
  readonly host: string
  readonly notices: Notices
  readonly terminal: Terminal
}

/** How often names, addresses and files are looked at: microseconds of work. */
const LOOK_EVERY_MS = 10_000

/** Undefined for plain HTTP. @throws RegistryError `tls-invalid` */
export async function wireTls(deps: TlsDeps): Promise<WiredTls | undefined> {
  const { settings, notices } = deps
  if (settings.kind === 'off') return undefined
  const [{ fromFiles, signedByAuthority }, { requireTls, serveAuthority }] = await Promise.all([
    import('../../registry/tls/certificate-source.ts'),
    import('../../registry/tls/plain-http.ts'),
  ])
  const kept = {
    everyMs: LOOK_EVERY_MS,
    onRenewed: () => notices.info('tls', 'another certificate is in use'),
    onProblem: (error: unknown) => notices.problem('tls', 'the certificate in use stays', error),
  }
  if (settings.kind === 'files')
    return { kept: { ...kept, source: fromFiles(settings) }, extras: [requireTls(false)] }
  const { openAuthority } = await import('../../registry/tls/authority.ts')
  const { root, host, terminal } = deps
  const authority = await openAuthority({ root, hostName: hostname(), now: terminal.now })
  const names = await hostNames()
  const hosts = async (): Promise<readonly string[]> => {
    const own = [...names, ...hostAddresses(), ...settings.names, host]
    return [...new Set(own)].filter(name => name !== '0.0.0.0' && name !== '::')
  }
  const source = signedByAuthority({ authority, hosts, now: terminal.now })
  return {
    kept: { ...kept, source },
    authority,
    extras: [requireTls(true), serveAuthority(authority.certificate)],
  }
}
