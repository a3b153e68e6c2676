/**
 * Whose certificates are believed: Node's list (with `NODE_EXTRA_CA_CERTS`), the system's (with `SSL_CERT_FILE` and
 * `SSL_CERT_DIR`), given files, and for one registry those of its folder, as Docker and Podman have them:
 *
 * ```
 * /etc/docker/certs.d/HOST:PORT/*.crt            authorities
 * /etc/docker/certs.d/HOST:PORT/x.cert, x.key    what we show to a registry that asks who we are
 * ```
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { isErrno } from '../oci/errors.ts'
import { RemoteError } from './errors.ts'

export interface Trust {
  /**
   * Read once for each host. @param host with the port, unless it is 443
   * @throws RemoteError `tls-failed` for a file that is not what its name says
   */
  contextFor(host: string): Promise<SecureContext>
  /** The certificates, in PEM, of whom is believed there: for programs that do not ask us. */
  authoritiesFor(host: string): Promise<readonly string[]>
}

export interface TrustDeps {
  /** Such as `/etc/docker/certs.d`; those that are not there are none. */
  readonly hostFolders: readonly string[]
  /** Files with authorities for every host; those that are not there are none. */
  readonly authorityFiles: readonly string[]
}

export function createTrust({ hostFolders, authorityFiles }: TrustDeps): Trust {
  const contexts = new Map<string, Promise<SecureContext>>()
  const common = once(async () => {
    const own = await Promise.all(authorityFiles.map(readIfThere))
    const known = [...getCACertificates('default'), ...getCACertificates('system')]
    return [...new Set([...known, ...own.filter(text => text !== undefined)])]
  })
  const commonContext = once(async () => createSecureContext({ ca: await common() }))
  const load = async (host: string): Promise<SecureContext> => {
    const found = await Promise.all(foldersOf(host, hostFolders).map(readHostFolder))
    const ca = found.flatMap(folder => folder.authorities)
    const pairs = found.flatMap(folder => folder.pairs)
    if (ca.length === 0 && pairs.length === 0) return commonContext()
    try {
      return createSecureContext({
        ca: [...(await common()), ...ca],
        ...(pairs.length > 0 && { cert: pairs.map(pair => pair.cert), key: pairs.map(pair => pair.key) }),
      })
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      throw new RemoteError('tls-failed', `Cannot use the certificates for ${host}: ${problem}`, {
        cause: error,
        hint: `they are in ${foldersOf(host, hostFolders).join(', ')}`,
      })
    }
  }
  return {
    contextFor(host) {
      const known = contexts.get(host) ?? load(host)
      contexts.set(host, known)
      return known
    },
    async authoritiesFor(host) {
      const found = await Promise.all(foldersOf(host, hostFolders).map(readHostFolder))
      return [...(await common()), ...found.flatMap(folder => folder.authorities)]
    },
  }
}

/** A host of `443` is written with or without the port. Hosts are those of URLs: they hold no slash. */
function foldersOf(host: string, hostFolders: readonly string[]): readonly string[] {
  const names = /:\d+$/.test(host) ? [host] : [host, `${host}:443`]
  const safe = names.filter(name => !name.startsWith('.'))
  return hostFolders.flatMap(folder => safe.map(name => join(folder, name)))
}

interface HostFolder {
  readonly authorities: readonly string[]
  readonly pairs: readonly { readonly cert: string; readonly key: string }[]
}

async function readHostFolder(folder: string): Promise<HostFolder> {
  const names = (await namesIn(folder)).toSorted()
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
  const authorities = await Promise.all(names.filter(name => name.endsWith('.crt')).map(read))
  const keyed = names.filter(name => name.endsWith('.cert') && names.includes(keyOf(name)))
  const pairs = await Promise.all(
    keyed.map(async name => ({ cert: await read(name), key: await read(keyOf(name)) })),
  )
  return { authorities, pairs }
}

function keyOf(name: string): string {
  return name.replace(/\.cert$/, '.key')
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return []
    throw error
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined
    throw error
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
