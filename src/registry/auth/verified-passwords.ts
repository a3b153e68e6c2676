import { createHmac, randomBytes } from 'node:crypto'

/**
 * What has just been verified, so that the pull of an image with 20 layers costs one comparison. Neither names nor
 * passwords are kept: only digests under a key that this process alone has and that ends with it.
 */
export interface VerifiedPasswords {
  /** True when it was verified before, or is now. Those who ask the same at the same time share one verification. */
  check(credential: readonly string[], verify: () => Promise<boolean>): Promise<boolean>
}

const REMEMBERED_MS = 5 * 60_000
const MAX_REMEMBERED = 10_000

/** @param now milliseconds */
export function createVerifiedPasswords(now: () => number): VerifiedPasswords {
  const key = randomBytes(32)
  const until = new Map<string, number>()
  const underWay = new Map<string, Promise<boolean>>()
  const digest = (credential: readonly string[]): string =>
    createHmac('sha256', key).update(JSON.stringify(credential)).digest('base64')
  const isKept = (id: string): boolean => (until.get(id) ?? 0) > now()

  return {
    async check(credential, verify) {
      const id = digest(credential)
      if (isKept(id)) return true
      const asked = underWay.get(id)
      if (asked !== undefined) return asked
      const verified = verify().finally(() => underWay.delete(id))
      underWay.set(id, verified)
      if (!(await verified)) return false
      until.delete(id)
      until.set(id, now() + REMEMBERED_MS)
      const oldest = until.size > MAX_REMEMBERED ? until.keys().next().value : undefined
      if (oldest !== undefined) until.delete(oldest)
      return true
    },
  }
}
