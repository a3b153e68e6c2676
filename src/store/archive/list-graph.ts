import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import {
  type GraphSource,
  isManifestDescriptor,
  MAX_GRAPH_NODES,
  readContent,
  successors,
} from '../../oci/graph.ts'
import { parseManifest } from '../../oci/manifest.ts'

/**
 * The roots and all that they need, each once, sorted by digest.
 * @throws OciError `manifest-invalid`, `size-mismatch` when two descriptors of one digest disagree; what the source throws
 */
export async function listGraph(
  source: GraphSource,
  roots: readonly Descriptor[],
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const nodes = new Map<Digest, Descriptor>()
  const waiting = [...roots]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    signal.throwIfAborted()
    const known = nodes.get(node.digest)
    if (known !== undefined && known.size !== node.size)
      throw new OciError(
        'size-mismatch',
        `Cannot write ${node.digest}: it is said to have ${known.size} bytes and ${node.size}`,
      )
    if (known !== undefined) continue
    nodes.set(node.digest, node)
    if (nodes.size > MAX_GRAPH_NODES)
      throw new OciError('manifest-invalid', `Cannot write images: more than ${MAX_GRAPH_NODES} parts`)
    if (isManifestDescriptor(node))
      waiting.push(...successors(parseManifest(await readContent(source, node), node.mediaType)))
  }
  return [...nodes.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}
