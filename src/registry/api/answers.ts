/** The JSON of the API (`openapi.ts` describes it). What is not known is null, so that every answer has every field. */
import type { ManifestEntry, RepositoryEntry, TagEntry } from '../../store/inventory.ts'

export function repositoryAnswer({ name, tagCount, bytes, pushedAt, pulledAt }: RepositoryEntry) {
  return { name, tags: tagCount, bytes, pushedAt: time(pushedAt), pulledAt: time(pulledAt) }
}

export function manifestAnswer(entry: ManifestEntry) {
  const { digest, mediaType, artifactType, subject, bytes, createdAt, pushedAt, pulledAt, labels } = entry
  return {
    digest,
    mediaType,
    artifactType: artifactType ?? null,
    subject: subject ?? null,
    bytes: bytes ?? null,
    createdAt: time(createdAt),
    pushedAt: time(pushedAt),
    pulledAt: time(pulledAt),
    platforms: entry.platforms.map(({ platform, digest, bytes }) => ({
      platform,
      digest,
      bytes: bytes ?? null,
    })),
    labels,
    referrers: entry.referrers,
  }
}

export function tagAnswer(entry: TagEntry) {
  return { tag: entry.tag, taggedAt: time(entry.taggedAt), ...manifestAnswer(entry) }
}

/** RFC 3339; null for never and for not known. */
function time(milliseconds: number | undefined): string | null {
  if (milliseconds === undefined || milliseconds === 0) return null
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
