import { digestOf } from '../../oci/digest.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { BaseImage } from '../images/base-image.ts'
import type { ShellDefinition, Vertex } from '../solve/vertex.ts'
import type { CreateOp, OpDefinition } from './op-definition.ts'

/** Makes vertices. Equal definitions over equal inputs have equal digests, and so are solved once. */
export interface Vertices {
  /**
   * @param name for people
   * @param ignoreCache makes it other work than an equal step that may use the cache
   */
  create(
    definition: OpDefinition,
    inputs: readonly Vertex[],
    name: string,
    span: SourceSpan,
    ignoreCache?: boolean,
    shell?: ShellDefinition,
  ): Vertex
  image(image: BaseImage, name: string, span: SourceSpan): Vertex
  scratch(span: SourceSpan): Vertex
}

export function createVertices(createOp: CreateOp): Vertices {
  const create: Vertices['create'] = (definition, inputs, name, span, ignoreCache = false, shell) => {
    const op = createOp(definition, span)
    const digest = digestOf(JSON.stringify([definition, inputs.map(input => input.digest), ignoreCache]))
    return { digest, name, op, inputs, ignoreCache, span, ...(shell !== undefined && { shell }) }
  }
  return {
    create,
    image: ({ digest, layers }, name, span) => create({ kind: 'image', digest, layers }, [], name, span),
    scratch: span => create({ kind: 'image', layers: [] }, [], 'FROM scratch', span),
  }
}
