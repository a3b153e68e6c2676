import type { Digest } from '../oci/digest.ts'

/** Content that was read and verified, by digest: it can never change. Whether it still exists here, others know. */
export interface KeptBytes {
  get(digest: Digest): Buffer | undefined
  /** The bytes must not be changed any more. */
  put(digest: Digest, bytes: Buffer): void
}

/** However large they are, there is room for so many. */
const LEAST_KEPT = 64

/** Keeps what was used last: at most so many bytes, and nothing that would take a large part of them by itself. */
export function createKeptBytes(maxBytes: number): KeptBytes {
  const kept = new Map<Digest, Buffer>()
  let total = 0
  const drop = (digest: Digest, bytes: Buffer): void => {
    if (kept.delete(digest)) total -= bytes.length
  }
  return {
    get(digest) {
      const bytes = kept.get(digest)
      if (bytes === undefined) return undefined
      // The map's order is that of the last use.
      kept.delete(digest)
      kept.set(digest, bytes)
      return bytes
    },
    put(digest, bytes) {
      if (bytes.length > maxBytes / LEAST_KEPT || kept.has(digest)) return
      kept.set(digest, bytes)
      total += bytes.length
      for (const [oldest, old] of kept) {
        if (total <= maxBytes) return
        drop(oldest, old)
      }
    },
  }
}
