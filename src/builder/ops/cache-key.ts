import { createHash } from 'node:crypto'
import { parseDigest } from '../../oci/digest.ts'
import type { CacheKey } from '../solve/vertex.ts'

/** The key of a step: every name and value framed by its length, so that no two lists of parts make the same bytes. */
export function createCacheKey(kind: string, parts: CacheKey['parts']): CacheKey {
  const hash = createHash('sha256')
  const frame = (text: string) => {
    const bytes = Buffer.from(text, 'utf8')
    hash.update(`${bytes.length}:`).update(bytes)
  }
  frame(kind)
  for (const [name, value] of parts) {
    frame(name)
    frame(value)
  }
  return { digest: parseDigest(`sha256:${hash.digest('hex')}`), parts: [['kind', kind], ...parts] }
}
