/**
 * Where the server's certificate comes from, and how it stays good. A source gives the certificate of now, and
 * another when asked again later: the own authority's before the last one expires or when the machine's names
 * have changed, files when they have.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { RegistryError } from '../errors.ts'
import type { Authority } from './authority.ts'
import { type CertifiedKey, makeServerCertificate } from './certificate.ts'

export interface CertificateSource {
  /**
   * A certificate and key that fit together; undefined while those given out last are still right.
   * @throws RegistryError `tls-invalid`; the last ones then stay in use
   */
  next(): Promise<CertifiedKey | undefined>
}

export interface SignedSourceDeps {
  readonly authority: Authority
  /** Names and addresses of this machine now, the best name first. */
  readonly hosts: () => Promise<readonly string[]>
  readonly now: () => number
}

const DAY_MS = 24 * 60 * 60 * 1000
/** Some clients refuse certificates that hold for much longer than a year; renewing costs nothing here. */
const VALID_DAYS = 90
const RENEWED_DAYS_BEFORE = 30
/** Clocks of a LAN differ. */
const BACKDATED_DAYS = 1

export function signedByAuthority({ authority, hosts, now }: SignedSourceDeps): CertificateSource {
  let given: { readonly hosts: string; readonly until: number } | undefined
  return {
    async next() {
      const names = await hosts()
      const key = names.join(' ')
      if (given?.hosts === key && given.until - now() > RENEWED_DAYS_BEFORE * DAY_MS) return undefined
      const until = Math.min(now() + VALID_DAYS * DAY_MS, authority.until)
      const [name = 'localhost'] = names
      const certified = makeServerCertificate({
        name: name.slice(0, 64),
        hosts: names,
        validity: { from: now() - BACKDATED_DAYS * DAY_MS, until },
        authority,
      })
      given = { hosts: key, until }
      return { ...certified, certificate: certified.certificate + authority.certificate }
    },
  }
}

export interface FileSourceDeps {
  /** PEM, the server's certificate first. */
  readonly certificatePath: string
  readonly keyPath: string
}

/** Files are written one after the other, so a pair that does not fit is not the last word. */
export function fromFiles({ certificatePath, keyPath }: FileSourceDeps): CertificateSource {
  let seen: string | undefined
  return {
    async next() {
      const state = await fileState(certificatePath, keyPath)
      if (state === seen) return undefined
      const [certificate, key] = [await readText(certificatePath), await readText(keyPath)]
      requirePair({ certificate, key }, certificatePath, keyPath)
      seen = state
      return { certificate, key }
    },
  }
}

/** A link to another file (certbot, Kubernetes) shows as a change too: `stat` follows it. */
async function fileState(...paths: readonly string[]): Promise<string> {
  const states: string[] = []
  for (const path of paths) {
    try {
      const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
      states.push([dev, ino, size, mtimeNs].join(' '))
    } catch (error) {
      throw unreadable(path, error)
    }
  }
  return states.join(', ')
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): RegistryError {
  const problem = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  return new RegistryError('tls-invalid', `Cannot read ${path} for TLS: ${problem}`, { cause: error })
}

function requirePair({ certificate, key }: CertifiedKey, certificatePath: string, keyPath: string): void {
  let fits: boolean
  try {
    fits = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new RegistryError(
      'tls-invalid',
      `Cannot use ${certificatePath} and ${keyPath} for TLS: ${problem}`,
      { cause: error, hint: 'both are PEM; the key has no passphrase' },
    )
  }
  if (fits) return
  throw new RegistryError(
    'tls-invalid',
    `Cannot use TLS: the key ${keyPath} is not that of ${certificatePath}`,
  )
}
