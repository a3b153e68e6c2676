/**
 * Values of variables and arguments of commands may be secrets that no image tells. Where a key's parts go elsewhere, they
 * hold 32 bits of a digest instead: enough to tell a change.
 */
import { createHash } from 'node:crypto'
import type { CacheKey } from './vertex.ts'

type Parts = CacheKey['parts']

export function hideValues(parts: Parts): Parts {
  return parts.map(([name, value]) => {
    if (name === 'argument' || name === 'script') return [name, fingerprint(value)]
    if (name !== 'variable') return [name, value]
    const equals = value.indexOf('=')
    return [name, `${value.slice(0, equals)}=${fingerprint(value.slice(equals + 1))}`]
  })
}

/** True for what `hideValues` gave, should there have been anything to hide. */
export function areHidden(parts: Parts): boolean {
  const [first] = parts.filter(([name]) => name === 'argument' || name === 'script')
  return first !== undefined && FINGERPRINT.test(first[1])
}

const FINGERPRINT = /^#[0-9a-f]{8}$/

function fingerprint(text: string): string {
  return `#${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}
