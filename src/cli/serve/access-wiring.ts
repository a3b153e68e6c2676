import { randomBytes } from 'node:crypto'
import { isRepositoryPath, parseRepositoryName } from '../../oci/reference.ts'
import type { RegistryAppDeps } from '../../registry/app.ts'
import { createAccessRecords } from '../../store/access-rows.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import type { Notices } from './notices.ts'

/** @see isLoginWanted without users everyone may do everything */
export interface WiredAccess extends Required<Pick<RegistryAppDeps, 'access' | 'extras'>> {
  isLoginWanted(): Promise<boolean>
}

/**
 * Users, rights and tokens. Without configuration and without a file of users everyone may do everything, until
 * `slipway user add` makes the file.
 */
export async function wireAccess(
  { settings, store }: Session,
  { now, monotonicMs }: Terminal,
  notices: Notices,
): Promise<WiredAccess> {
  const { access, limits } = settings
  const [
    { createPasswordVerifier },
    { createFindClientAddress },
    { createAccess },
    { createTokenIssuer },
    { createLogin },
    { createRights },
    { tokenRoutes },
    { openUserFile },
    { createVerifiedPasswords },
    { nameElsewhere },
  ] = await Promise.all([
    import('../../registry/auth/bcrypt.ts'),
    import('../../registry/auth/client-address.ts'),
    import('../../registry/auth/create-access.ts'),
    import('../../registry/auth/issue-token.ts'),
    import('../../registry/auth/login.ts'),
    import('../../registry/auth/rights.ts'),
    import('../../registry/auth/token-endpoint.ts'),
    import('../../registry/auth/user-file.ts'),
    import('../../registry/auth/verified-passwords.ts'),
    import('../../registry/proxy/resolve-name.ts'),
  ])
  const users = await openUserFile({
    path: access.usersFile,
    monotonicMs,
    warn: problem => notices.problem('users', 'the users known before stay', problem),
  })
  const records = createAccessRecords(store.disk.database)
  const key = records.key('token', () => randomBytes(32))
  const login = createLogin({
    users,
    rights: createRights(access.rights),
    records,
    key,
    verifier: createPasswordVerifier(),
    verified: createVerifiedPasswords(monotonicMs),
    failedLoginsPerMinute: limits.failedLoginsPerMinute,
    now,
  })
  const isLoginWanted = async (): Promise<boolean> =>
    access.isConfigured || (await users.current()) !== undefined
  const meantBy = (name: string): string | undefined =>
    isRepositoryPath(name) ? nameElsewhere(parseRepositoryName(name), settings.proxy?.defaultHost) : undefined
  const common = {
    login,
    key,
    now,
    isOn: isLoginWanted,
    findAddress: createFindClientAddress(settings.trustedProxies),
  }
  return {
    access: createAccess({ ...common, requestsPerMinute: limits.requestsPerMinute }),
    isLoginWanted,
    extras: [tokenRoutes({ ...common, issuer: createTokenIssuer(key, now, meantBy) })],
  }
}
