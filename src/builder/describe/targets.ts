import { describedAbove } from '../dockerfile/doc-comments.ts'
import type { Dockerfile } from '../dockerfile/instructions.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { findTarget } from '../plan/stages.ts'

/** A stage that can be built. */
export interface TargetDescription {
  readonly name?: string
  /** What is built unless another target is asked for. */
  readonly isDefault: boolean
  readonly description?: string
  /** As FROM says it, variables and all. */
  readonly base: string
  readonly platform?: string
  readonly span: SourceSpan
}

export function describeTargets(dockerfile: Dockerfile): readonly TargetDescription[] {
  const byDefault = findTarget(dockerfile, undefined)
  return dockerfile.stages.map(stage => {
    const { name, base, platform, span } = stage
    const description = name === undefined ? undefined : describedAbove(span, name)
    return {
      ...(name !== undefined && { name }),
      isDefault: stage === byDefault,
      ...(description !== undefined && { description }),
      base,
      ...(platform !== undefined && { platform }),
      span,
    }
  })
}
