/**
 * What of the configuration is about what stays, what must not change, and how much there may be:
 *
 * ```toml
 * retention-every = "1h"            # while `serve` runs; off leaves it to `slipway retain`
 *
 * [[retention]]                     # the first that matches a repository decides
 * repositories = "team/**"
 * keep = { newest = 10, pushed-within = "30d", pulled-within = "30d", tags = ["v*", "latest"] }
 * untagged = "7d"
 *
 * [[immutable]]
 * repositories = "team/**"
 * tags = ["v*"]
 *
 * [[quota]]
 * prefix = "team"                   # team and all below team/; * is everything
 * size = "50g"
 * ```
 */
import { isFromElsewhere, isRepositoryPath } from '../../oci/reference.ts'
import type { KeepRule, RetentionRule } from '../../registry/policy/retention.ts'
import { patternProblem, repositoryMatcher } from '../../registry/repository-pattern.ts'
import type { Quota, StoreRules } from '../../store/rules.ts'
import { parseSize } from '../build/size.ts'
import { parseDuration } from '../text/duration.ts'

/** As the file has it. */
export interface PolicyConfig {
  readonly 'retention-every'?: string
  readonly retention?: readonly {
    readonly repositories?: string
    readonly keep?: {
      readonly newest?: number
      readonly 'pushed-within'?: string
      readonly 'pulled-within'?: string
      readonly tags?: readonly string[]
    }
    readonly untagged?: string
  }[]
  readonly immutable?: readonly { readonly repositories?: string; readonly tags?: readonly string[] }[]
  readonly quota?: readonly { readonly prefix?: string; readonly size?: string }[]
}

export const POLICY_SHAPE = {
  'retention-every': 'string',
  retention: {
    list: {
      keys: {
        repositories: 'string',
        keep: {
          keys: { newest: 'count', 'pushed-within': 'string', 'pulled-within': 'string', tags: 'strings' },
        },
        untagged: 'string',
      },
    },
  },
  immutable: { list: { keys: { repositories: 'string', tags: 'strings' } } },
  quota: { list: { keys: { prefix: 'string', size: 'string' } } },
} as const

export interface PolicySettings {
  readonly rules: StoreRules
  readonly retention: {
    readonly rules: readonly RetentionRule[]
    /** Undefined when `serve` is to leave it to `slipway retain`. */
    readonly everyMs: number | undefined
  }
}

/** Makes the error about a key; `nth` tells which table of a list, from 0. */
export type RefuseKey = (place: readonly string[], problem: string, nth?: number) => Error

/** For the keys of one table of a list. */
function refuseNth(refuse: RefuseKey, nth: number): RefuseKey {
  return (place, problem) => refuse(place, problem, nth)
}

const DEFAULT_EVERY = '1h'

/** @throws what `refuse` makes */
export function policySettings(config: PolicyConfig, refuse: RefuseKey): PolicySettings {
  const { retention = [], immutable = [], quota = [] } = config
  const every = config['retention-every'] ?? DEFAULT_EVERY
  return {
    rules: {
      isImmutable: immutableTags(immutable, refuse),
      quotas: quota.map((one, nth) => readQuota(one, refuseNth(refuse, nth))),
    },
    retention: {
      rules: retention.map((one, nth) => readRetention(one, refuseNth(refuse, nth))),
      everyMs: every === 'off' ? undefined : readDuration(every, ['retention-every'], refuse),
    },
  }
}

type Table<Key extends 'retention' | 'immutable' | 'quota'> = NonNullable<PolicyConfig[Key]>[number]

function readRetention(
  { repositories, keep, untagged }: Table<'retention'>,
  refuse: RefuseKey,
): RetentionRule {
  const matches = readPattern(repositories, ['retention', 'repositories'], refuse)
  const place = ['retention', 'keep']
  // A table that was forgotten, or emptied by mistake, must not delete everything.
  if (keep === undefined || Object.keys(keep).length === 0)
    throw refuse(
      keep === undefined ? ['retention'] : place,
      'must say what to keep: newest, pushed-within, pulled-within or tags',
    )
  const { newest, tags } = keep
  const span = (key: 'pushed-within' | 'pulled-within'): number | undefined => {
    const text = keep[key]
    return text === undefined ? undefined : readDuration(text, [...place, key], refuse)
  }
  const pushedWithinMs = span('pushed-within')
  const pulledWithinMs = span('pulled-within')
  const rule: KeepRule = {
    ...(newest !== undefined && { newest }),
    ...(pushedWithinMs !== undefined && { pushedWithinMs }),
    ...(pulledWithinMs !== undefined && { pulledWithinMs }),
    ...(tags !== undefined && {
      tags: tags.map(pattern => ({ pattern, matches: tagMatcher(pattern, [...place, 'tags'], refuse) })),
    }),
  }
  return {
    matches,
    keep: rule,
    ...(untagged !== undefined && {
      untaggedMs: readDuration(untagged, ['retention', 'untagged'], refuse),
    }),
  }
}

/** Images from elsewhere are copies, and change when their registry changes them. */
function immutableTags(
  tables: readonly Table<'immutable'>[],
  refuseAny: RefuseKey,
): StoreRules['isImmutable'] {
  const rules = tables.map(({ repositories, tags }, nth) => {
    const refuse = refuseNth(refuseAny, nth)
    if (tags === undefined || tags.length === 0)
      throw refuse(['immutable'], 'must have tags, a list of patterns such as ["v*"]')
    return {
      matches: readPattern(repositories, ['immutable', 'repositories'], refuse),
      tags: tags.map(pattern => tagMatcher(pattern, ['immutable', 'tags'], refuse)),
    }
  })
  return (repository, tag) =>
    !isFromElsewhere(repository) &&
    rules.some(({ matches, tags }) => matches(repository) && tags.some(isTag => isTag(tag)))
}

function readQuota({ prefix, size }: Table<'quota'>, refuse: RefuseKey): Quota {
  if (prefix === undefined || size === undefined) throw refuse(['quota'], 'must have a prefix and a size')
  if (prefix !== '*' && !isRepositoryPath(prefix))
    throw refuse(
      ['quota', 'prefix'],
      `is ${JSON.stringify(prefix)}, want the beginning of repository names, such as team, or *`,
    )
  const limit = parseSize(size)
  if (limit === undefined)
    throw refuse(['quota', 'size'], `is ${JSON.stringify(size)}, want a size such as 500m or 50g`)
  return { prefix, limit }
}

function readPattern(
  pattern: string | undefined,
  place: readonly string[],
  refuse: RefuseKey,
): (name: string) => boolean {
  if (pattern === undefined)
    throw refuse(place.slice(0, 1), 'must have repositories, a pattern such as "team/**"')
  const problem = patternProblem(pattern)
  if (problem !== undefined) throw refuse(place, problem)
  return repositoryMatcher(pattern)
}

function tagMatcher(pattern: string, place: readonly string[], refuse: RefuseKey): (tag: string) => boolean {
  if (!/^[A-Za-z0-9._*-]{1,128}$/.test(pattern) || pattern.includes('**'))
    throw refuse(
      place,
      `has ${JSON.stringify(pattern)}, want letters, digits, . _ - and * for any of these, such as "v*"`,
    )
  // A tag is one part, as of a name.
  return repositoryMatcher(pattern)
}

function readDuration(text: string, place: readonly string[], refuse: RefuseKey): number {
  const duration = parseDuration(text)
  if (duration === undefined)
    throw refuse(place, `is ${JSON.stringify(text)}, want a time such as 90m, 24h or 30d`)
  return duration
}
