import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import type { GraphSource } from '../../oci/graph.ts'
import { blobPath, type NamedImage } from '../../oci/image-layout.ts'
import { jsonBytes } from '../../oci/json.ts'
import { formatReference, LATEST, type Reference } from '../../oci/reference.ts'
import { DOCKER_MANIFEST_FILE, writeDockerArchive } from '../../store/archive/docker-archive.ts'
import { writeOciArchive } from '../../store/archive/oci-archive.ts'
import { writeOciLayout } from '../../store/archive/oci-layout.ts'
import type { Store } from '../../store/store.ts'
import { exportError, temporaryName, writeFileAtomically } from './atomic-file.ts'
import type { ImageGraph } from './image-graph.ts'
import type { ImageOutput } from './output.ts'

/** Writes the image as an archive or a directory that other tools load. Its layers are stored already. */
export async function exportToArchive(
  graph: ImageGraph,
  tags: readonly Reference[],
  output: Extract<ImageOutput, { type: 'oci' | 'docker' }>,
  store: Pick<Store, 'content'>,
  signal: AbortSignal,
): Promise<void> {
  const named = { descriptor: graph.root, names: tags.map(nameOf) }
  const contents = { source: imageSource(graph, store), images: [named], signal }
  if (!output.tar) {
    await writeOciLayout({ ...contents, directory: output.dest })
    if (output.type === 'docker') await writeDockerManifest(output.dest, graph, named)
    return
  }
  const write = (to: Writable): Promise<void> =>
    output.type === 'oci'
      ? writeOciArchive({ ...contents, to })
      : writeDockerArchive({ ...contents, to, keepsZstd: output.settings?.compression === 'zstd' })
  if (typeof output.dest === 'string') await writeFileAtomically(output.dest, write)
  else await write(output.dest)
}

/** The image's own documents need not be stored. */
function imageSource(graph: ImageGraph, { content }: Pick<Store, 'content'>): GraphSource {
  const documents = new Map(graph.documents.map(({ descriptor, bytes }) => [descriptor.digest, bytes]))
  return {
    async open({ digest }) {
      const bytes = documents.get(digest)
      return bytes === undefined ? content.open(digest) : Readable.from([bytes])
    },
  }
}

/** Makes an OCI layout one that `docker load` knows too, once it is packed. */
async function writeDockerManifest(directory: string, graph: ImageGraph, named: NamedImage): Promise<void> {
  const entries = graph.images.map(image => ({
    Config: blobPath(image.config.descriptor.digest),
    RepoTags: named.names,
    Layers: image.layers.map(({ digest }) => blobPath(digest)),
  }))
  const path = join(directory, DOCKER_MANIFEST_FILE)
  try {
    // Renamed into place: where a stranger's folder has a symlink of that name, it is the symlink that goes.
    const temporary = temporaryName(path)
    await writeFile(temporary, jsonBytes(entries), { flag: 'wx' })
    await rename(temporary, path)
  } catch (error) {
    throw exportError(error, path)
  }
}

function nameOf(reference: Reference): string {
  return formatReference({ ...reference, tag: reference.tag ?? LATEST })
}
