/** Package URLs: `pkg:deb/debian/bash@5.2?arch=amd64`. */
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import { LATEST, type Reference, repositoryOf } from '../../oci/reference.ts'

export interface PackageUrl {
  readonly type: string
  /** With slashes, where the type has such. */
  readonly namespace?: string
  readonly name: string
  readonly version?: string
  /** Those that are empty are left out. */
  readonly qualifiers?: Readonly<Record<string, string | undefined>>
}

/** In its canonical form: every part percent-encoded, qualifiers sorted. */
export function formatPurl({ type, namespace, name, version, qualifiers = {} }: PackageUrl): string {
  const path = [...(namespace ?? '').split('/').filter(Boolean), name].map(encode).join('/')
  const query = Object.entries(qualifiers)
    .filter(([, value]) => value !== undefined && value !== '')
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encode(value ?? '')}`)
    .join('&')
  const at = version === undefined || version === '' ? '' : `@${encode(version)}`
  return `pkg:${type}/${path}${at}${query === '' ? '' : `?${query}`}`
}

/** `pkg:docker/debian@12?platform=linux%2Famd64`, with names of Docker Hub shortened as BuildKit does. */
export function imagePurl(reference: Reference, platform: Platform): string {
  const name = repositoryOf(reference).replace(/^docker\.io\/(?:library\/)?/, '')
  const path = name.split('/')
  return formatPurl({
    type: 'docker',
    namespace: path.slice(0, -1).join('/'),
    name: path.at(-1) ?? name,
    version: reference.tag ?? LATEST,
    qualifiers: { platform: formatPlatform(platform) },
  })
}

/** Of the purl specification: all but letters, digits and `.-_~`; the colon may stand. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
