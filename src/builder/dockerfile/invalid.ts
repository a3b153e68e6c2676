import { BuildError } from '../errors.ts'
import type { SourceSpan } from './source.ts'

/** The error for a Dockerfile that says something it may not say, at its place. */
export function invalid(message: string, span: SourceSpan | undefined, hint?: string): BuildError {
  return new BuildError('dockerfile-invalid', message, {
    ...(span !== undefined && { span }),
    ...(hint !== undefined && { hint }),
  })
}

/** A hint for a misspelt word; undefined where nothing is near. */
export function didYouMean(nearest: string | undefined): string | undefined {
  return nearest === undefined ? undefined : `did you mean ${nearest}?`
}
