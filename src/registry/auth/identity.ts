import type { Principal } from '../access.ts'
import type { Grantable } from './scope.ts'

/** Somebody who has shown who they are, or nobody (anonymous), with all that they may do now. */
export interface Identity extends Grantable {
  readonly principal: Principal
  /** Changes with the password or token that was shown. */
  readonly fingerprint: string
}

/** `anonymous`, `user:NAME`, `robot:NAME`: as tokens say it, and as requests are counted. */
export function subjectOf(principal: Principal): string {
  return principal.kind === 'anonymous' ? 'anonymous' : `${principal.kind}:${principal.name}`
}

/** For messages: a robot under the name with which it may log in. */
export function describePrincipal(principal: Principal): string {
  if (principal.kind === 'anonymous') return 'who has not logged in'
  return principal.kind === 'robot' ? `robot$${principal.name}` : principal.name
}
