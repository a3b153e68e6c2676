import type { ContentIngester, ContentProvider } from '../oci/content.ts'
import type { DiskContent } from '../store/blobs.ts'
import type { Metadata } from '../store/metadata.ts'

/** What of the store the registry uses. */
export interface RegistryStore {
  readonly content: ContentProvider & ContentIngester & Pick<DiskContent, 'hasBytes'>
  readonly metadata: Metadata
}

/** Throws RegistryError `denied` where the repository holds images from elsewhere: those are read-only here. */
export type RequireOurs = (action: 'push to' | 'delete from') => void
