/** Secrets that let a build in where its sources are. */
import { percentDecoded } from './percent-decoded.ts'

/** Undefined for a secret that nobody gave. */
export type ReadSecret = (id: string) => Promise<Uint8Array | undefined>

/** For a file at a URL, as BuildKit finds it: by the host without its port. */
export async function httpAuthorization(url: URL, readSecret: ReadSecret): Promise<string | undefined> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const token = await readText(readSecret, `HTTP_AUTH_TOKEN_${host}`)
  return token === undefined ? readText(readSecret, `HTTP_AUTH_HEADER_${host}`) : `Bearer ${token}`
}

/** For a Git repository, by its host or for all. */
export async function gitAuthorization(url: URL, readSecret: ReadSecret): Promise<string | undefined> {
  for (const suffix of [`.${url.host}`, '']) {
    const header = await readText(readSecret, `GIT_AUTH_HEADER${suffix}`)
    if (header !== undefined) return header
    const token = await readText(readSecret, `GIT_AUTH_TOKEN${suffix}`)
    if (token !== undefined) return `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
  }
  return undefined
}

/** By the user and password of a URL itself; a user alone is nobody's proof. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (password === '') return undefined
  return `basic ${Buffer.from(`${percentDecoded(username)}:${percentDecoded(password)}`).toString('base64')}`
}

/** Without what no header can hold: the line's end that editors leave. */
async function readText(readSecret: ReadSecret, id: string): Promise<string | undefined> {
  const content = await readSecret(id)
  return content === undefined
    ? undefined
    : Buffer.from(content)
        .toString()
        .replaceAll(/[\r\n\0]/g, '')
        .trim()
}
