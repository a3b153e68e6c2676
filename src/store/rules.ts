import type { Digest } from '../oci/digest.ts'
import { isFromElsewhere, type RepositoryName, type Tag } from '../oci/reference.ts'
import type { Database } from './database.ts'
import { StoreError } from './errors.ts'

/**
 * What whoever writes to the store must keep to, be it a push, a build or a command. Decided inside the transaction
 * that writes, so that no two writers can break a rule together.
 */
export interface StoreRules {
  /** True for tags that stay what they are once they are there. */
  isImmutable(repository: RepositoryName, tag: Tag): boolean
  readonly quotas: readonly Quota[]
}

/** The most that all content below a prefix may take, each digest counted once. */
export interface Quota {
  /**
   * `team` for itself and all below `team/`; `*` for every repository. Images from elsewhere are counted by the
   * latter, but never refused because of it: nobody pushes them, and pulling them must go on.
   */
  readonly prefix: string
  /** In bytes. */
  readonly limit: number
}

export const NO_RULES: StoreRules = { isImmutable: () => false, quotas: [] }

export function quotasOf(rules: StoreRules, repository: RepositoryName): readonly Quota[] {
  return rules.quotas.filter(
    ({ prefix }) =>
      (prefix === '*' && !isFromElsewhere(repository)) ||
      prefix === repository ||
      repository.startsWith(`${prefix}/`),
  )
}

/** Begins to count below prefixes that were not counted before: the one time that all their links are read. */
export function startQuotas(database: Database, { quotas }: StoreRules): void {
  const isCounted = (prefix: string): boolean => quotaUsage(database, prefix) !== undefined
  if (quotas.every(({ prefix }) => isCounted(prefix))) return
  database.write(() => {
    for (const { prefix } of quotas) if (!isCounted(prefix)) startQuota(database, prefix)
  })
}

function startQuota(database: Database, prefix: string): void {
  database.run('INSERT INTO quota_usage (prefix, bytes) VALUES (?, 0)', prefix)
  database.run(
    `INSERT INTO quota_content (prefix, digest, repositories)
     SELECT ?1, held.digest, count(*) FROM repositories r
       JOIN (SELECT repository, digest FROM links UNION SELECT repository, digest FROM manifests) held
         ON held.repository = r.id
     WHERE ?1 IN ('*', r.name) OR substr(r.name, 1, length(?1) + 1) = ?1 || '/'
     GROUP BY held.digest`,
    prefix,
  )
}

export function quotaUsage(database: Database, prefix: string): number | undefined {
  return database.one<{ bytes: number }>('SELECT bytes FROM quota_usage WHERE prefix = ?', prefix)?.bytes
}

/**
 * Does the action, which must be part of a transaction, and fails it where a quota is then exceeded. What adds nothing
 * is never refused, not even over a limit that was lowered.
 * @throws StoreError `quota-exceeded`
 */
export function withinQuotas(
  database: Database,
  rules: StoreRules,
  repository: RepositoryName,
  action: () => void,
): void {
  const quotas = quotasOf(rules, repository)
  const before = quotas.map(({ prefix }) => quotaUsage(database, prefix) ?? 0)
  action()
  for (const [index, quota] of quotas.entries()) {
    const used = before[index] ?? 0
    requireRoom(quota, repository, used, (quotaUsage(database, quota.prefix) ?? 0) - used)
  }
}

/** @throws StoreError `quota-exceeded` when so many more bytes do not fit */
export function requireRoom(
  { prefix, limit }: Quota,
  repository: RepositoryName,
  used: number,
  needed: number,
): void {
  if (needed <= 0 || used + needed <= limit) return
  const whose = prefix === '*' ? 'this registry' : prefix
  throw new StoreError(
    'quota-exceeded',
    `Cannot store content in ${repository}: the quota of ${whose} is ${limit} bytes, ${used} are used, and ${needed} more are needed`,
    {
      detail: { prefix, limit, used, needed },
      hint: "delete tags that nobody needs and run 'slipway gc', or raise the quota",
    },
  )
}

export function findTagged(database: Database, repository: RepositoryName, tag: Tag): Digest | undefined {
  return database.one<{ digest: Digest }>(
    `SELECT m.digest FROM repositories r JOIN tags t ON t.repository = r.id AND t.tag = ?
     JOIN manifests m ON m.id = t.manifest WHERE r.name = ?`,
    tag,
    repository,
  )?.digest
}

/**
 * @param digest what the tag is to point at; without it the tag is to go
 * @throws StoreError `tag-immutable` when the tag is there, and must stay as it is
 */
export function requireTagFree(
  database: Database,
  rules: StoreRules,
  repository: RepositoryName,
  tag: Tag,
  digest?: Digest,
): void {
  if (!rules.isImmutable(repository, tag)) return
  const present = findTagged(database, repository, tag)
  if (present === undefined || present === digest) return
  const action = digest === undefined ? 'delete' : 'move'
  throw new StoreError(
    'tag-immutable',
    `Cannot ${action} tag ${repository}:${tag}: it is immutable, and is ${present}`,
    {
      detail: { tag, digest: present },
      hint: 'take another tag, or change [[immutable]] in the configuration',
    },
  )
}

/** @throws StoreError `tag-immutable` when such a tag points at the manifest */
export function requireNoImmutableTag(
  database: Database,
  rules: StoreRules,
  repository: RepositoryName,
  digest: Digest,
): void {
  const tags = database.all<{ tag: Tag }>(
    `SELECT t.tag FROM repositories r JOIN manifests m ON m.repository = r.id AND m.digest = ?
     JOIN tags t ON t.manifest = m.id WHERE r.name = ?`,
    digest,
    repository,
  )
  for (const { tag } of tags) requireTagFree(database, rules, repository, tag)
}
