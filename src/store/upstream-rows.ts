import type { IngestID } from '../oci/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/reference.ts'
import type { Database } from './database.ts'
import type { IngestLocks } from './ingest-locks.ts'
import type { Metadata, UpstreamTag } from './metadata.ts'
import { repositoryID } from './repository-rows.ts'
import { writeIfPossible } from './touch.ts'

/** What is known of tags that came from their registry. Gone with the tag. */
export function createUpstreamMetadata(
  database: Database,
  now: () => number,
): Pick<Metadata, 'getUpstreamTag' | 'putUpstreamTag'> {
  return {
    getUpstreamTag: (repository, tag) =>
      database.one<UpstreamTag>(
        `SELECT u.digest, u.checked_at AS checkedAt FROM upstream_tags u JOIN repositories r ON r.id = u.repository
         WHERE r.name = ? AND u.tag = ?`,
        repository,
        tag,
      ),

    putUpstreamTag(repository, tag, digest) {
      // To forget it costs one more question to the registry.
      writeIfPossible(database, () =>
        database.run(
          `INSERT INTO upstream_tags (repository, tag, digest, checked_at)
           SELECT t.repository, t.tag, ?, ? FROM tags t WHERE t.repository = ? AND t.tag = ?
           ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest, checked_at = excluded.checked_at`,
          digest,
          now(),
          repositoryID(database, repository) ?? null,
          tag,
        ),
      )
    },
  }
}

/** A download that is under way, in this process or another: its bytes so far are those of the ingest. */
export interface Claim {
  readonly ingest: IngestID
  /** Of the whole content, in bytes. */
  readonly size: number
}

/** Who downloads which content, over all processes: the claim of a process that has ended counts for nothing. */
export interface DownloadClaims {
  /** Undefined when the claim is ours now; else that of who was first. @param claim its ingest is open in this process */
  take(digest: Digest, claim: Claim): Claim | undefined
  find(digest: Digest): Claim | undefined
  free(digest: Digest, ingest: IngestID): void
}

export function createDownloadClaims(database: Database, locks: IngestLocks): DownloadClaims {
  const find = (digest: Digest): Claim | undefined => {
    const row = database.one<Claim>('SELECT ingest, size FROM downloads WHERE digest = ?', digest)
    return row !== undefined && locks.isHeld(row.ingest) ? row : undefined
  }
  return {
    find,
    take: (digest, claim) =>
      database.write(() => {
        const other = find(digest)
        if (other !== undefined) return other
        database.run(
          `INSERT INTO downloads (digest, ingest, size) VALUES (?, ?, ?)
           ON CONFLICT (digest) DO UPDATE SET ingest = excluded.ingest, size = excluded.size`,
          digest,
          claim.ingest,
          claim.size,
        )
        return undefined
      }, 'relaxed'),
    free(digest, ingest) {
      writeIfPossible(database, () =>
        database.run('DELETE FROM downloads WHERE digest = ? AND ingest = ?', digest, ingest),
      )
    },
  }
}

/** The manifests of a repository that reference the digest, newest first, at most a few. */
export function findReferencing(
  database: Database,
  repository: RepositoryName,
  digest: Digest,
): readonly Digest[] {
  return database
    .all<{ digest: Digest }>(
      `SELECT m.digest FROM manifest_references f JOIN manifests m ON m.id = f.manifest
       JOIN repositories r ON r.id = m.repository WHERE f.digest = ? AND r.name = ? ORDER BY m.id DESC LIMIT 4`,
      digest,
      repository,
    )
    .map(row => row.digest)
}
