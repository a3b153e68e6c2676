import { isIP } from 'node:net'

/**
 * True when the other host belongs to who has the first: the same, one below it, or a sister of it
 * (`auth.docker.io` of `registry-1.docker.io`, `gitlab.example.com` of `registry.example.com`). Addresses have no
 * sisters, nor do hosts right below a top-level domain.
 */
export function isOfSameSite(host: string, other: string): boolean {
  if (host === other) return true
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) return false
  const parent = host.slice(host.indexOf('.') + 1)
  const site = host.includes('.') && parent.includes('.') ? parent : host
  return other === site || other.endsWith(`.${site}`)
}
