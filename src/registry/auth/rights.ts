/**
 * Who may do what to which repositories. Rights add up: what any line gives is given, and no line takes away.
 *
 * ```
 * pattern       who           actions
 * **            anonymous     pull                  everyone, logged in or not
 * ${user}/**    *             pull push delete      every user, below their own name
 * team/**       @developers   push                  a group; to push or delete includes to pull
 * ```
 */
import type { RepositoryName } from '../../oci/reference.ts'
import type { Principal, RepositoryAction } from '../access.ts'
import { patternProblem, repositoryMatcher } from '../repository-pattern.ts'

export const ACTIONS: readonly RepositoryAction[] = ['pull', 'push', 'delete']

/** Of a pattern: stands for the name of the user who asks. */
const USER_VARIABLE = '${' + 'user}'

export interface RightsTable {
  /** Names of users by group. */
  readonly groups: Readonly<Record<string, readonly string[]>>
  /** By pattern, then by who: `anonymous`, `*`, `@GROUP` or a user's name. Undefined: each user may do everything. */
  readonly repositories?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
  /** Who may list the names of the repositories that they may pull; undefined: every user. */
  readonly catalog?: readonly string[]
}

/** One line of the table. */
export interface Rule {
  readonly pattern: string
  readonly who: string
  readonly actions: readonly string[]
}

export interface Rights {
  may(principal: Principal, action: RepositoryAction, name: RepositoryName): boolean
  mayListCatalog(principal: Principal): boolean
  /** The lines that let the principal do it. */
  reasons(principal: Principal, action: RepositoryAction, name: RepositoryName): readonly Rule[]
}

/** @param table checked by `rightsProblem` */
export function createRights({ groups, repositories, catalog = ['*'] }: RightsTable): Rights {
  const rules = repositories === undefined ? [EACH_USER_MAY_ALL] : rulesOf(repositories)
  const compiled = rules.map(rule => ({ rule, matches: matcherOf(rule.pattern) }))
  const isMeant = (principal: Principal, who: string): boolean => {
    if (who === 'anonymous') return true
    if (principal.kind !== 'user') return false
    if (who.startsWith('@')) {
      const group = who.slice(1)
      return Object.hasOwn(groups, group) && groups[group]?.includes(principal.name) === true
    }
    return who === '*' || who === principal.name
  }
  const reasons: Rights['reasons'] = (principal, action, name) =>
    compiled
      .filter(
        ({ rule, matches }) =>
          isMeant(principal, rule.who) && includes(rule.actions, action) && matches(name, principal),
      )
      .map(({ rule }) => rule)
  return {
    may: (principal, action, name) => reasons(principal, action, name).length > 0,
    mayListCatalog: principal => catalog.some(who => isMeant(principal, who)),
    reasons,
  }
}

/** Whether actions that were given allow this one: nobody pushes or deletes who cannot look. */
export function includes(given: readonly string[], action: RepositoryAction): boolean {
  return given.includes('*') || given.includes(action) || (action === 'pull' && given.length > 0)
}

/** What is wrong with a table: the keys that lead there, and a sentence that goes on after them. */
export function rightsProblem(
  table: RightsTable,
): { readonly place: readonly string[]; readonly problem: string } | undefined {
  const { groups, repositories = {}, catalog = [] } = table
  for (const { pattern, who, actions } of rulesOf(repositories)) {
    const bad = patternProblem(pattern.replaceAll(USER_VARIABLE, 'user'))
    if (bad !== undefined) return { place: ['repositories', pattern], problem: bad }
    const place = ['repositories', pattern, who]
    const whoBad = whoProblem(who, groups)
    if (whoBad !== undefined) return { place, problem: whoBad }
    const unknown = actions.find(action => !isAction(action))
    if (unknown !== undefined)
      return { place, problem: `has ${JSON.stringify(unknown)}; actions are pull, push, delete and *` }
    if (who === 'anonymous' && pattern.includes(USER_VARIABLE))
      return { place, problem: `cannot be: anonymous has no name for ${USER_VARIABLE}` }
  }
  for (const who of catalog) {
    const whoBad = whoProblem(who, groups)
    if (whoBad !== undefined)
      return { place: ['catalog'], problem: `has ${JSON.stringify(who)}, which ${whoBad}` }
  }
  return undefined
}

export function isAction(text: string): boolean {
  return text === '*' || ACTIONS.some(action => action === text)
}

const EACH_USER_MAY_ALL: Rule = { pattern: '**', who: '*', actions: ['*'] }

function whoProblem(who: string, groups: RightsTable['groups']): string | undefined {
  return who.startsWith('@') && !Object.hasOwn(groups, who.slice(1))
    ? `is not a group; groups stand in [access.groups]`
    : undefined
}

function rulesOf(repositories: NonNullable<RightsTable['repositories']>): readonly Rule[] {
  return Object.entries(repositories).flatMap(([pattern, table]) =>
    Object.entries(table).map(([who, actions]) => ({ pattern, who, actions })),
  )
}

function matcherOf(pattern: string): (name: RepositoryName, principal: Principal) => boolean {
  if (!pattern.includes(USER_VARIABLE)) return repositoryMatcher(pattern)
  return (name, principal) => {
    // A name with a * or a / would open more than its own.
    if (principal.kind !== 'user' || !/^[a-z0-9._-]+$/.test(principal.name)) return false
    return repositoryMatcher(pattern.replaceAll(USER_VARIABLE, principal.name))(name)
  }
}
