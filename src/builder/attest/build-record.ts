import type { Platform } from '../../oci/platform.ts'
import type { Reference } from '../../oci/reference.ts'
import type { BaseImage, ResolveImage } from '../images/base-image.ts'
import type { CreateOp, OpDefinition } from '../plan/op-definition.ts'
import type { Op } from '../solve/vertex.ts'

/** An image that a name in the Dockerfile was resolved to. */
export interface ResolvedImage {
  readonly reference: Reference
  readonly platform: Platform
  readonly image: Pick<BaseImage, 'name'>
}

/** Remembers what a plan asks for on the way. */
export interface BuildRecord {
  readonly resolveImage: ResolveImage
  readonly createOp: CreateOp
  readonly resolved: readonly ResolvedImage[]
  definitionOf(op: Op): OpDefinition | undefined
}

export function createBuildRecord(deps: Pick<BuildRecord, 'resolveImage' | 'createOp'>): BuildRecord {
  const resolved: ResolvedImage[] = []
  const definitions = new WeakMap<Op, OpDefinition>()
  return {
    async resolveImage(reference, platform, signal) {
      const image = await deps.resolveImage(reference, platform, signal)
      resolved.push({ reference, platform, image })
      return image
    },
    createOp(definition, span) {
      const op = deps.createOp(definition, span)
      definitions.set(op, definition)
      return op
    },
    resolved,
    definitionOf: op => definitions.get(op),
  }
}
