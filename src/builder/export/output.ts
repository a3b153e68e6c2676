import type { Writable } from 'node:stream'
import type { Compression } from '../../oci/media-type.ts'
import type { ImageSettings } from './image-settings.ts'

/**
 * Where a build's result goes. A `dest` that is a string is an absolute path; it appears whole or not at all, and
 * what stood there before stays until then.
 *
 * - `store`: the image in the content store, under the build's tags; with `push` also in the registries that they name.
 * - `oci`, `docker`: an image archive that other tools load; with `tar: false` a directory in the same layout.
 * - `local`: the files of the root filesystem, laid over what is in the directory; `tar`: the same as one archive.
 *   With `split` they lie in a folder named for their platform; several platforms do unless it is false.
 * - `cacheonly`: nothing but the cache records of the steps.
 */
export type Output =
  | ImageOutput
  | { readonly type: 'local'; readonly dest: string; readonly split?: boolean }
  | { readonly type: 'tar'; readonly dest: string | Writable; readonly split?: boolean }
  | { readonly type: 'cacheonly' }

/** An image is written as `settings` say; without them it has gzip, and OCI's media types. */
export type ImageOutput = { readonly settings?: ImageSettings } & (
  | { readonly type: 'store'; readonly push?: 'by-tag' | 'by-digest' }
  | { readonly type: 'oci' | 'docker'; readonly tar: true; readonly dest: string | Writable }
  | { readonly type: 'oci' | 'docker'; readonly tar: false; readonly dest: string }
)

export function isImageOutput(output: Output): output is ImageOutput {
  return output.type === 'store' || output.type === 'oci' || output.type === 'docker'
}

/** How to compress what the steps make, so that most outputs need not do it again. Files want what costs least. */
export function commonCompression(outputs: readonly Output[]): Compression {
  const wanted = outputs.filter(isImageOutput).map(({ settings }) => settings?.compression ?? 'gzip')
  const [first = outputs.length === 0 ? 'gzip' : 'zstd', ...others] = wanted
  return others.every(other => other === first) ? first : 'gzip'
}
