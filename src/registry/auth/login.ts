/**
 * Who somebody is: by name and password, by a robot's token, or by a token that we have given out. Everything is looked up
 * anew, so that a user who is removed, a password that is changed, a robot that is revoked count at once.
 */
import { createHmac } from 'node:crypto'
import type { AccessRecords, RobotRecord } from '../../store/access-rows.ts'
import type { Principal } from '../access.ts'
import type { PasswordVerifier } from './bcrypt.ts'
import { tooMany } from './challenge.ts'
import { type Identity, subjectOf } from './identity.ts'
import { createRateLimit } from './rate-limit.ts'
import type { Rights } from './rights.ts'
import { findRobotByToken, isRobotToken, isRobotValid, robotMay } from './robots.ts'
import type { Claims } from './signed-token.ts'
import type { UserFile } from './user-file.ts'
import type { VerifiedPasswords } from './verified-passwords.ts'

export interface LoginDeps {
  readonly users: UserFile
  readonly rights: Rights
  readonly records: AccessRecords
  /** For fingerprints; the same in all processes. */
  readonly key: Uint8Array
  readonly verifier: PasswordVerifier
  readonly verified: VerifiedPasswords
  /** Of one client, in a minute; 0: any number. */
  readonly failedLoginsPerMinute: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface Login {
  readonly anonymous: Identity
  /**
   * Undefined for a wrong name or password, which of the two does not show, nor by the time it takes.
   * @param client whom to count it to @throws RegistryError `rate-limited` after too many of these
   */
  byPassword(name: string, password: string, client: string): Promise<Identity | undefined>
  /** Undefined for what is not a robot's token or no longer one. @throws RegistryError `rate-limited` */
  byRobotToken(token: string, client: string): Identity | undefined
  /** Undefined when who is meant is not there any more, or has another password. */
  byClaims(claims: Claims): Promise<Identity | undefined>
}

/** Of nobody's password: what names are compared with when there are no users at all. */
const DECOY = '$2b$10$CnsV1EarXE/IFOegH8alH.Ms6lWm6sKhVPHPMuWKD51Qf/QPdCuA6'

export function createLogin(deps: LoginDeps): Login {
  const { users, rights, records, now } = deps
  const failures = createRateLimit(deps.failedLoginsPerMinute, now)
  const digest = (text: string): Buffer => createHmac('sha256', deps.key).update(text).digest()
  const fingerprint = (secret: string): string =>
    digest(`fingerprint ${secret}`).toString('base64url').slice(0, 16)

  /** A failure costs one; to take it beforehand holds those up who try many at once. */
  const countFailure = (client: string): void => {
    const seconds = failures.take(client)
    if (seconds !== undefined) throw tooMany(seconds, 'Cannot log in: too many attempts have failed')
  }
  /** An unknown name is compared with somebody's hash, always the same, so that it takes as long as one that is known. */
  const decoyFor = (name: string, hashes: readonly string[]): string =>
    hashes[digest(`decoy ${name}`).readUInt32BE() % Math.max(1, hashes.length)] ?? DECOY

  const byRobotToken: Login['byRobotToken'] = (token, client) => {
    const robot = findRobotByToken(records, token, now())
    if (robot === undefined) countFailure(client)
    return robot === undefined ? undefined : robotIdentity(robot)
  }
  return {
    anonymous: identityOf({ kind: 'anonymous' }, rights, ''),
    byRobotToken,
    async byPassword(name, password, client) {
      if (isRobotToken(password)) return byRobotToken(password, client)
      const known = (await users.current()) ?? new Map<string, string>()
      const hash = known.get(name)
      const compared = hash ?? decoyFor(name, [...known.values()])
      const credential = [name, compared, password]
      const isRight = await deps.verified.check(credential, async () => {
        countFailure(client)
        const matches = await deps.verifier.verify(password, compared)
        if (!matches || hash === undefined) return false
        failures.giveBack(client)
        return true
      })
      if (!isRight || hash === undefined) return undefined
      return identityOf({ kind: 'user', name }, rights, fingerprint(hash))
    },
    async byClaims(claims) {
      const identity = await identityNamed(claims.sub)
      return identity?.fingerprint === claims.fingerprint ? identity : undefined
    },
  }

  async function identityNamed(subject: string): Promise<Identity | undefined> {
    if (subject === subjectOf({ kind: 'anonymous' })) return identityOf({ kind: 'anonymous' }, rights, '')
    const name = subject.slice(subject.indexOf(':') + 1)
    if (subject.startsWith('robot:')) {
      const robot = records.findRobot({ name })
      return robot !== undefined && isRobotValid(robot, now()) ? robotIdentity(robot) : undefined
    }
    const hash = (await users.current())?.get(name)
    return hash === undefined ? undefined : identityOf({ kind: 'user', name }, rights, fingerprint(hash))
  }
}

function identityOf(principal: Principal, rights: Rights, fingerprint: string): Identity {
  return {
    principal,
    fingerprint,
    may: (action, name) => rights.may(principal, action, name),
    mayListCatalog: () => rights.mayListCatalog(principal),
  }
}

/** The catalog shows a robot what it may pull, and no more. */
function robotIdentity({ name, id, allow }: RobotRecord): Identity {
  return {
    principal: { kind: 'robot', name },
    fingerprint: id,
    may: (action, repository) => robotMay(allow, action, repository),
    mayListCatalog: () => true,
  }
}
