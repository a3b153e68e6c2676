import type { Digest } from '../../oci/digest.ts'
import type { Vertex } from './vertex.ts'

/** Every vertex once, inputs first. Walks without recursion: a Dockerfile may be very long. */
export function inOrder(targets: readonly Vertex[]): readonly Vertex[] {
  const ordered = new Map<Digest, Vertex>()
  const stack = targets.toReversed().map(vertex => ({ vertex, ready: false }))
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { vertex, ready } = top
    if (ordered.has(vertex.digest)) continue
    if (ready) {
      ordered.set(vertex.digest, vertex)
      continue
    }
    stack.push({ vertex, ready: true })
    for (const input of vertex.inputs.toReversed()) stack.push({ vertex: input, ready: false })
  }
  return [...ordered.values()]
}
