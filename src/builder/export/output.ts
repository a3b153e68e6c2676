import type { Writable } from 'node:stream'

/**
 * Where a build's result goes. A `dest` that is a string is an absolute path; it appears whole or not at all, and
 * what stood there before stays until then.
 *
 * - `store`: the image in the content store, under the build's tags.
 * - `oci`, `docker`: an image archive that other tools load; with `tar: false` a directory in the same layout.
 * - `local`: the files of the root filesystem, laid over what is in the directory; `tar`: the same as one archive.
 * - `cacheonly`: nothing but the cache records of the steps.
 */
export type Output =
  | { readonly type: 'store' }
  | { readonly type: 'oci' | 'docker'; readonly tar: true; readonly dest: string | Writable }
  | { readonly type: 'oci' | 'docker'; readonly tar: false; readonly dest: string }
  | { readonly type: 'local'; readonly dest: string }
  | { readonly type: 'tar'; readonly dest: string | Writable }
  | { readonly type: 'cacheonly' }
