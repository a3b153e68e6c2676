import type { IncomingHttpHeaders } from 'node:http'
import type { Digest } from '../oci/digest.ts'

/** The entity tag of content: its digest never means other bytes. */
export function etagOf(digest: Digest): string {
  return `"${digest}"`
}

/** True when the client's copy is good (`If-None-Match`, RFC 9110 section 13.1.2) and 304 says all. */
export function isNotModified(headers: IncomingHttpHeaders, digest: Digest): boolean {
  const wanted = headers['if-none-match']
  if (wanted === undefined) return false
  const tags = wanted.split(',').map(tag => tag.trim().replace(/^W\//, ''))
  return tags.includes(etagOf(digest)) || tags.includes('*')
}

/** False when a range is asked of other content than this (`If-Range`): then the whole is sent. */
export function isRangeWanted(headers: IncomingHttpHeaders, digest: Digest): boolean {
  const condition = headers['if-range']
  return condition === undefined || condition === etagOf(digest)
}

/** What is named by its digest never changes. */
export const IMMUTABLE = 'max-age=31536000, immutable'
