/**
 * What of the configuration is about who may do what:
 *
 * ```toml
 * [access]
 * users = "users.htpasswd"          # else users.htpasswd in the store
 * catalog = ["*"]
 *
 * [access.groups]
 * developers = ["anna", "ben"]
 *
 * [access.repositories."team/**"]
 * anonymous = ["pull"]
 * "@developers" = ["push", "delete"]
 *
 * [limits]
 * requests-per-minute = 1200
 * failed-logins-per-minute = 20
 *
 * [serve]
 * trusted-proxies = ["127.0.0.1"]
 * ```
 */
import { join } from 'node:path'
import { isAddressOrNetwork } from '../../registry/auth/client-address.ts'
import { type RightsTable, rightsProblem } from '../../registry/auth/rights.ts'
import { LIMIT_KEYS, type LimitsConfig } from './limits.ts'
import type { ServeConfig } from './serve.ts'

/** In the words of the file; every table may be missing. */
export interface AccessConfig {
  readonly access?: {
    readonly users?: string
    readonly catalog?: readonly string[]
    readonly groups?: RightsTable['groups']
    readonly repositories?: RightsTable['repositories']
  }
  readonly limits?: {
    readonly 'requests-per-minute'?: number
    readonly 'failed-logins-per-minute'?: number
  } & LimitsConfig
  readonly serve?: Pick<ServeConfig, 'trusted-proxies'>
}

export const ACCESS_SHAPE = {
  access: {
    keys: {
      users: 'string',
      catalog: 'strings',
      groups: { each: 'strings' },
      repositories: { each: { each: 'strings' } },
    },
  },
  limits: { keys: { 'requests-per-minute': 'count', 'failed-logins-per-minute': 'count', ...LIMIT_KEYS } },
} as const

export interface AccessSettings {
  readonly access: {
    /** There are rules, or a file of users is named: without users nobody gets in, rather than everybody. */
    readonly isConfigured: boolean
    /** Absolute. */
    readonly usersFile: string
    readonly rights: RightsTable
  }
  /** 0: no limit. */
  readonly limits: { readonly requestsPerMinute: number; readonly failedLoginsPerMinute: number }
  readonly trustedProxies: readonly string[]
}

/** @param root of the store */
export function accessSettings({ access, limits, serve }: AccessConfig, root: string): AccessSettings {
  return {
    access: {
      isConfigured: access !== undefined,
      usersFile: access?.users ?? join(root, 'users.htpasswd'),
      rights: rightsOf(access),
    },
    limits: {
      requestsPerMinute: limits?.['requests-per-minute'] ?? 0,
      failedLoginsPerMinute: limits?.['failed-logins-per-minute'] ?? 20,
    },
    trustedProxies: serve?.['trusted-proxies'] ?? [],
  }
}

/** What is wrong with it beyond the types of values: where, and a sentence that goes on after the key. */
export function accessProblem({
  access,
  serve = {},
}: AccessConfig): { readonly place: readonly string[]; readonly problem: string } | undefined {
  const found = rightsProblem(rightsOf(access))
  if (found !== undefined) return { ...found, place: ['access', ...found.place] }
  const bad = serve['trusted-proxies']?.find(text => !isAddressOrNetwork(text))
  if (bad === undefined) return undefined
  return {
    place: ['serve', 'trusted-proxies'],
    problem: `has ${JSON.stringify(bad)}, which is neither an address nor a network such as 10.0.0.0/8`,
  }
}

function rightsOf({ groups = {}, repositories, catalog }: AccessConfig['access'] = {}): RightsTable {
  return {
    groups,
    ...(repositories !== undefined && { repositories }),
    ...(catalog !== undefined && { catalog }),
  }
}
