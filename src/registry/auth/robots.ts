/**
 * Tokens for programs: made once, shown once, good for what they were made for until they end or are revoked.
 *
 * ```
 * slipway_<id>_<secret>      16 and 43 letters and digits
 * ```
 * The id finds the row; the secret has 256 random bits (43 of 62 letters), so a plain SHA-256 of it can be kept. The start of a token
 * is what scanners for leaked secrets look for.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { RepositoryName } from '../../oci/reference.ts'
import type { AccessRecords, RobotRecord } from '../../store/access-rows.ts'
import { isTouchDue } from '../../store/touch.ts'
import type { RepositoryAction } from '../access.ts'
import { patternProblem, repositoryMatcher } from '../repository-pattern.ts'
import { includes, isAction } from './rights.ts'

const TOKEN = /^slipway_([A-Za-z0-9]{16})_([A-Za-z0-9]{43})$/

/** Whether this is meant to be a robot's token, and so no password of a user. */
export function isRobotToken(text: string): boolean {
  return text.startsWith('slipway_')
}

export interface NewRobot {
  readonly record: Pick<RobotRecord, 'id' | 'secretHash'>
  /** The only time that it can be seen. */
  readonly token: string
}

export function makeRobotToken(): NewRobot {
  const id = randomWord(16)
  const secret = randomWord(43)
  return { record: { id, secretHash: hashOf(secret) }, token: `slipway_${id}_${secret}` }
}

/** The robot whose token this is, unless it has ended. @param now milliseconds since the epoch */
export function findRobotByToken(
  records: AccessRecords,
  token: string,
  now: number,
): RobotRecord | undefined {
  const [, id, secret = ''] = TOKEN.exec(token) ?? []
  if (id === undefined) return undefined
  const robot = records.findRobot({ id })
  if (robot === undefined || !timingSafeEqual(robot.secretHash, hashOf(secret))) return undefined
  if (!isRobotValid(robot, now)) return undefined
  if (isTouchDue(robot.usedAt ?? 0, now)) records.touchRobot(id, now)
  return robot
}

export function isRobotValid({ expiresAt }: RobotRecord, now: number): boolean {
  return expiresAt === undefined || now < expiresAt
}

/** @param allow each `ACTION[,ACTION]:PATTERN` */
export function robotMay(allow: readonly string[], action: RepositoryAction, name: RepositoryName): boolean {
  return allow.some(text => {
    const { actions, pattern } = splitAllow(text)
    return includes(actions, action) && repositoryMatcher(pattern)(name)
  })
}

/** What is wrong with `ACTION[,ACTION]:PATTERN`; undefined when nothing is. */
export function allowProblem(text: string): string | undefined {
  const { actions, pattern } = splitAllow(text)
  if (!text.includes(':')) return 'is not ACTION:PATTERN'
  const unknown = actions.find(action => !isAction(action))
  if (unknown !== undefined) return `has ${JSON.stringify(unknown)}; actions are pull, push, delete and *`
  const bad = patternProblem(pattern)
  return bad === undefined ? undefined : `has the pattern ${JSON.stringify(pattern)}, which ${bad}`
}

function splitAllow(text: string): { readonly actions: readonly string[]; readonly pattern: string } {
  const colon = text.indexOf(':')
  return { actions: text.slice(0, Math.max(0, colon)).split(','), pattern: text.slice(colon + 1) }
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** Bytes from 248 on are dropped, or some letters would come more often. */
function randomWord(length: number): string {
  let word = ''
  while (word.length < length)
    word += Array.from(randomBytes(length), byte => (byte < 248 ? LETTERS[byte % LETTERS.length] : '')).join(
      '',
    )
  return word.slice(0, length)
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
