/**
 * The ends of a copy, by what a person types:
 * ```
 * app:1.0                     the store
 * host/app:1.0                a registry; docker://host/app:1.0 is the same
 * store:host/app:1.0          the store, by a name with a host
 * oci:DIR[:TAG]               a directory in OCI layout
 * oci-archive:FILE[:TAG]      the same as a tar
 * docker-archive:FILE[:NAME]  what 'docker save' writes
 * ```
 */
import { parseReference, type Reference } from '../../oci/reference.ts'

export type End = NameEnd | FileEnd

export interface NameEnd {
  readonly kind: 'store' | 'registry'
  readonly reference: Reference
}

export interface FileEnd {
  readonly kind: 'oci' | 'oci-archive' | 'docker-archive'
  /** As typed. */
  readonly path: string
  /** A tag, or for `docker-archive` a whole name. */
  readonly name?: string
}

export function isFile(end: End): end is FileEnd {
  return end.kind !== 'store' && end.kind !== 'registry'
}

/** @throws OciError `reference-invalid` */
export function parseEnd(text: string): End {
  const [, kind, rest = ''] = /^(oci|oci-archive|docker-archive):(.+)$/s.exec(text) ?? []
  if (kind === 'oci' || kind === 'oci-archive' || kind === 'docker-archive') {
    // The path ends at the first colon: names have colons, paths with one can be written as ./path.
    const colon = rest.indexOf(':')
    return colon < 0
      ? { kind, path: rest }
      : { kind, path: rest.slice(0, colon), name: rest.slice(colon + 1) }
  }
  if (text.startsWith('store:'))
    return { kind: 'store', reference: parseReference(text.slice('store:'.length)) }
  if (text.startsWith('docker://'))
    return { kind: 'registry', reference: parseReference(text.slice('docker://'.length)) }
  const reference = parseReference(text)
  return { kind: reference.registry === undefined ? 'store' : 'registry', reference }
}
