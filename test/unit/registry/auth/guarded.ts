import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { hashSync } from 'bcryptjs'
import type { Access } from '../../../../src/registry/access.ts'
import type { PasswordVerifier } from '../../../../src/registry/auth/bcrypt.ts'
import { createPasswordVerifier } from '../../../../src/registry/auth/bcrypt.ts'
import { createFindClientAddress } from '../../../../src/registry/auth/client-address.ts'
import { createAccess } from '../../../../src/registry/auth/create-access.ts'
import { createTokenIssuer } from '../../../../src/registry/auth/issue-token.ts'
import { createLogin } from '../../../../src/registry/auth/login.ts'
import { createRights, type RightsTable } from '../../../../src/registry/auth/rights.ts'
import { tokenRoutes } from '../../../../src/registry/auth/token-endpoint.ts'
import { openUserFile } from '../../../../src/registry/auth/user-file.ts'
import { createVerifiedPasswords } from '../../../../src/registry/auth/verified-passwords.ts'
import { createNameResolver } from '../../../../src/registry/proxy/resolve-name.ts'
import { createRepositoryStore } from '../../../../src/registry/store-repositories.ts'
import { type AccessRecords, createAccessRecords } from '../../../../src/store/access-rows.ts'
import { openRegistry, type TestRegistry } from '../client.ts'
import { openTestStore } from '../support.ts'

/** A registry with users `anna` and `ben`, whose passwords are `NAME's password`. */
export interface GuardedRegistry extends TestRegistry {
  /** What the app asks; for clients as the app of a test does not see them. */
  readonly access: Access
  readonly records: AccessRecords
  /** Passwords that bcrypt was asked about, in order. */
  readonly compared: string[]
  /** Of both clocks, in milliseconds; goes only by hand. */
  time: number
  setUsers(names: readonly string[], passwordOf?: (name: string) => string): void
  /** A token for these scopes. */
  token(scopes: readonly string[], user?: string): Promise<string>
}

export interface GuardedOptions {
  readonly rights?: Partial<RightsTable>
  readonly users?: readonly string[]
  readonly isConfigured?: boolean
  readonly trusted?: readonly string[]
  readonly failedLoginsPerMinute?: number
  readonly requestsPerMinute?: number
  /** Of names that are not our own. Nothing is fetched. */
  readonly defaultHost?: string
}

export const passwordOf = (name: string): string => `${name}'s password`

export async function openGuarded(options: GuardedOptions = {}): Promise<GuardedRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-users-'))
  after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'users')
  const setUsers: GuardedRegistry['setUsers'] = (names, password = passwordOf) =>
    writeFileSync(path, names.map(name => `${name}:${hashSync(password(name), 4)}\n`).join(''))
  if (options.users !== undefined || options.isConfigured !== false)
    setUsers(options.users ?? ['anna', 'ben'])

  const disk = await openTestStore()
  after(() => disk.remove())
  const records = createAccessRecords(disk.store.disk.database)
  const key = records.key('token', () => Buffer.alloc(32, 1))
  const compared: string[] = []
  const bcrypt = createPasswordVerifier()
  const verifier: PasswordVerifier = {
    verify(password, hash) {
      compared.push(password)
      return bcrypt.verify(password, hash)
    },
  }
  const guarded = { time: 1_800_000_000_000 }
  const now = (): number => guarded.time
  const users = await openUserFile({ path, monotonicMs: now, warn: problem => registry.faults.push(problem) })
  const login = createLogin({
    users,
    rights: createRights({ groups: {}, ...options.rights }),
    records,
    key,
    verifier,
    verified: createVerifiedPasswords(now),
    failedLoginsPerMinute: options.failedLoginsPerMinute ?? 0,
    now,
  })
  const common = {
    login,
    key,
    now,
    isOn: async () => options.isConfigured === true || (await users.current()) !== undefined,
    findAddress: createFindClientAddress(options.trusted ?? []),
  }
  const access = createAccess({ ...common, requestsPerMinute: options.requestsPerMinute ?? 0 })
  const registry = await openRegistry({
    disk,
    app: {
      ...(options.defaultHost !== undefined && {
        names: createNameResolver({
          repositories: createRepositoryStore({ store: disk.store }),
          defaultHost: options.defaultHost,
          isProxy: true,
        }),
      }),
      access,
      extras: [tokenRoutes({ ...common, issuer: createTokenIssuer(key, now) })],
    },
  })
  return Object.assign(guarded, registry, {
    access,
    records,
    compared,
    setUsers,
    async token(scopes: readonly string[], user?: string) {
      const asked = registry.http.get('/token').query({ service: 'slipway', scope: scopes })
      if (user !== undefined) asked.auth(user, passwordOf(user))
      return (await asked.expect(200)).body.token as string
    },
  })
}
