import { digestOf } from '../../oci/digest.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { BaseImage } from '../images/base-image.ts'
import type { Vertex } from '../solve/vertex.ts'
import type { CreateOp, OpDefinition } from './op-definition.ts'

/** Makes vertices. Equal definitions over equal inputs have equal digests, and so are solved once. */
export interface Vertices {
  /** @param name for people */
  create(definition: OpDefinition, inputs: readonly Vertex[], name: string, span: SourceSpan): Vertex
  image(image: BaseImage, name: string, span: SourceSpan): Vertex
  scratch(span: SourceSpan): Vertex
}

export function createVertices(deps: {
  readonly createOp: CreateOp
  readonly ignoreCache: boolean
}): Vertices {
  const { createOp, ignoreCache } = deps
  const create: Vertices['create'] = (definition, inputs, name, span) => {
    const op = createOp(definition, span)
    const digest = digestOf(JSON.stringify([definition, inputs.map(input => input.digest)]))
    return { digest, name, op, inputs, ignoreCache, span }
  }
  return {
    create,
    image: ({ digest, layers }, name, span) => create({ kind: 'image', digest, layers }, [], name, span),
    scratch: span => create({ kind: 'image', layers: [] }, [], 'FROM scratch', span),
  }
}
