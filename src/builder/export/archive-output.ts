import type { Reference } from '../../oci/reference.ts'
import type { Store } from '../../store/store.ts'
import { BuildError } from '../errors.ts'
import type { BuiltImage } from './assemble.ts'
import type { Output } from './output.ts'

/** Writes the image as an archive or a directory that other tools load. */
export async function exportToArchive(
  _image: BuiltImage,
  _tags: readonly Reference[],
  output: Extract<Output, { type: 'oci' | 'docker' }>,
  _store: Pick<Store, 'content'>,
  _signal: AbortSignal,
): Promise<void> {
  throw new BuildError('export-failed', `Cannot write ${output.type}: not yet`)
}
