/**
 * Which other registries `serve` pulls through from.
 *
 * ```toml
 * [proxy]
 * upstreams = ["docker.io", "ghcr.io"]
 * default = "docker.io"            # of names that are not our own: Docker's registry-mirrors
 * revalidate = "1h"
 * size = "50g"
 *
 * [proxy.credentials."docker.io"]  # else those of `docker login`
 * username = "me"
 * password-file = "hub-token"      # a relative path starts at this file's folder
 * ```
 */
import { dirname, resolve } from 'node:path'
import { DOCKER_HUB, isHost } from '../../oci/reference.ts'
import { mirrorEndpoints, type RegistryConfig } from '../../remote/registry-config.ts'
import { parseSize } from '../build/size.ts'
import { parseDuration } from '../text/duration.ts'

export interface ProxySettings {
  /** Lower case; Docker Hub is `docker.io`. */
  readonly hosts: readonly string[]
  /** One of the hosts. */
  readonly defaultHost?: string
  readonly revalidateMs: number
  readonly maxBytes?: number
  readonly credentials: ReadonlyMap<string, ProxyCredential>
}

export interface ProxyCredential {
  readonly username: string
  readonly password: { readonly text: string } | { readonly file: string }
  /** A host that may be sent the credentials in exchange for a token, beside those that belong to the registry. */
  readonly realm?: string
}

/** The table as it is written. */
export interface ProxyTable {
  readonly upstreams?: readonly string[]
  readonly default?: string
  readonly revalidate?: string
  readonly size?: string
  readonly credentials?: Readonly<
    Record<
      string,
      {
        readonly username?: string
        readonly password?: string
        readonly 'password-file'?: string
        readonly realm?: string
      }
    >
  >
}

export const PROXY_SHAPE = {
  keys: {
    upstreams: 'strings',
    default: 'string',
    revalidate: 'string',
    size: 'string',
    credentials: {
      each: {
        keys: { username: 'string', password: 'string', 'password-file': 'string', realm: 'string' },
      },
    },
  },
} as const

const DEFAULT_REVALIDATE = '1h'

/** The error for a key: its place, and what is wrong. */
export type Refuse = (place: readonly string[], problem: string) => Error

/** @param path of the file @param registries whose mirrors may want credentials too @throws what `refuse` makes */
export function readProxyTable(
  table: ProxyTable,
  path: string,
  refuse: Refuse,
  registries: RegistryConfig = {},
): ProxySettings {
  const hosts = (table.upstreams ?? []).map(host => parseHost(host, ['proxy', 'upstreams'], refuse))
  const allowed = (text: string, place: readonly string[]): string => {
    const host = parseHost(text, place, refuse)
    if (hosts.includes(host)) return host
    throw refuse(place, `names ${host}, which is not one of the upstreams`)
  }
  const revalidateMs = parseDuration(table.revalidate ?? DEFAULT_REVALIDATE)
  if (revalidateMs === undefined)
    throw refuse(['proxy', 'revalidate'], 'must be a time such as 30m, 1h or 7d; 0 asks each time')
  const maxBytes = table.size === undefined ? undefined : parseSize(table.size)
  if (table.size !== undefined && maxBytes === undefined)
    throw refuse(['proxy', 'size'], 'must be a size such as 500m or 50g')
  const credentials = new Map<string, ProxyCredential>()
  for (const [text, written] of Object.entries(table.credentials ?? {})) {
    const place = ['proxy', 'credentials', text]
    const { username, password, 'password-file': file, realm } = written
    if (username === undefined || (password === undefined) === (file === undefined))
      throw refuse(place, 'must have a username, and either a password or a password-file')
    const host = parseHost(text, place, refuse)
    if (!hosts.includes(host) && !isMirror(host, hosts, registries))
      throw refuse(place, `are for ${host}, which is not one of the upstreams, nor a mirror of one`)
    credentials.set(host, {
      username,
      password: password === undefined ? { file: resolve(dirname(path), file ?? '') } : { text: password },
      ...(realm !== undefined && { realm }),
    })
  }
  return {
    hosts,
    revalidateMs,
    credentials,
    ...(table.default !== undefined && { defaultHost: allowed(table.default, ['proxy', 'default']) }),
    ...(maxBytes !== undefined && { maxBytes }),
  }
}

function isMirror(host: string, of: readonly string[], registries: RegistryConfig): boolean {
  return of.some(upstream => mirrorEndpoints(upstream, registries).some(mirror => mirror.host === host))
}

function parseHost(text: string, place: readonly string[], refuse: Refuse): string {
  const host = text.toLowerCase()
  if (host === 'index.docker.io' || host === 'registry-1.docker.io') return DOCKER_HUB
  if (isHost(host)) return host
  throw refuse(place, `holds ${JSON.stringify(text)}: want the host of a registry, such as docker.io`)
}
