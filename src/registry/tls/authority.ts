/**
 * The certificate authority of one store: `tls/ca.pem` below its root, key and certificate in one file that only
 * its owner can read, and `tls/ca.crt` beside it, the certificate alone, to be copied to clients.
 *
 * Several processes may make it at once: each writes a file of its own and links it to the name, which only the
 * first can; the others read what that one made.
 */
import { createPrivateKey, type KeyObject, randomUUID, X509Certificate } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno } from '../../oci/errors.ts'
import { RegistryError } from '../errors.ts'
import { type CertifiedKey, makeAuthority } from './certificate.ts'

export interface Authority {
  readonly name: string
  readonly key: KeyObject
  /** PEM, for clients. */
  readonly certificate: string
  /** SHA-256, as `openssl x509 -fingerprint -sha256` writes it. */
  readonly fingerprint: string
  /** Milliseconds since the epoch. */
  readonly until: number
}

export interface AuthorityDeps {
  /** Of the store. */
  readonly root: string
  /** Of this machine, to tell authorities apart in lists. */
  readonly hostName: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What makes a copy of the store have the same authority: relative to the root. */
export const AUTHORITY_FILE = join('tls', 'ca.pem')

/** Where the certificate of a store's authority is, if it has one. */
export function authorityCertificatePath(root: string): string {
  return join(root, 'tls', 'ca.crt')
}

/** @throws RegistryError `tls-invalid` for a file that is damaged or has expired */
export async function openAuthority({ root, hostName, now }: AuthorityDeps): Promise<Authority> {
  const path = join(root, AUTHORITY_FILE)
  const known = await readIfThere(path)
  if (known === undefined) await create(path, newAuthority(hostName, now()))
  const authority = parseAuthority(known ?? (await readFile(path, 'utf8')), path, now())
  const copy = authorityCertificatePath(root)
  if ((await readIfThere(copy)) !== authority.certificate) {
    const temporary = await writeBeside(copy, authority.certificate, 0o644)
    await rename(temporary, copy)
  }
  return authority
}

/** Long, because renewing it means a visit to every client. */
const YEARS = 20
const DAY_MS = 24 * 60 * 60 * 1000

function newAuthority(hostName: string, now: number): CertifiedKey {
  // Two authorities of one name would confuse clients that know an older one.
  const name = `Slipway CA ${randomUUID().slice(0, 8)} on ${hostName}`.slice(0, 64)
  return makeAuthority(name, { from: now - DAY_MS, until: now + YEARS * 365 * DAY_MS })
}

async function create(path: string, { certificate, key }: CertifiedKey): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  const temporary = await writeBeside(path, key + certificate, 0o600)
  try {
    await link(temporary, path)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  } finally {
    await rm(temporary)
  }
}

/** A new file in the same folder, on disk when this returns. */
async function writeBeside(path: string, text: string, mode: number): Promise<string> {
  const temporary = `${path}.${randomUUID()}`
  await using file = await open(temporary, 'wx', mode)
  await file.writeFile(text)
  await file.sync()
  return temporary
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function parseAuthority(text: string, path: string, now: number): Authority {
  const hint = `remove ${path} to have a new one made; clients then need the new certificate`
  try {
    const certificate = new X509Certificate(text)
    const key = createPrivateKey(text)
    if (!certificate.ca || !certificate.checkPrivateKey(key))
      throw new Error('key and certificate do not fit')
    const until = Date.parse(certificate.validTo)
    if (until <= now) throw new Error(`it expired on ${certificate.validTo}`)
    return {
      name: certificate.subject.replace(/^CN=/, ''),
      key,
      certificate: certificate.toString(),
      fingerprint: certificate.fingerprint256,
      until,
    }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new RegistryError('tls-invalid', `Cannot use the certificate authority ${path}: ${problem}`, {
      cause: error,
      hint,
    })
  }
}
