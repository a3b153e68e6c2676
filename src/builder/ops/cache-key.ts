import { createHash } from 'node:crypto'
import { parseDigest } from '../../oci/digest.ts'
import type { CacheKey } from '../solve/vertex.ts'

/** To hand over each of a hundred thousand short texts takes longer than to hash them. */
const UPDATE_LENGTH = 16 * 1024

/** The key of a step: every name and value framed by its length, so that no two lists of parts make the same bytes. */
export function createCacheKey(kind: string, parts: CacheKey['parts']): CacheKey {
  const hash = createHash('sha256')
  let pending = ''
  const frame = (text: string) => {
    pending += `${Buffer.byteLength(text, 'utf8')}:${text}`
    if (pending.length < UPDATE_LENGTH) return
    hash.update(pending, 'utf8')
    pending = ''
  }
  frame(kind)
  for (const [name, value] of parts) {
    frame(name)
    frame(value)
  }
  hash.update(pending, 'utf8')
  return { digest: parseDigest(`sha256:${hash.digest('hex')}`), parts: [['kind', kind], ...parts] }
}
