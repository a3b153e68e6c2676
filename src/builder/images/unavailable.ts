import { RemoteError } from '../../remote/errors.ts'
import { BuildError } from '../errors.ts'

/**
 * A registry's failure as one of the build, so that it gets the place of the instruction; any other error as it is.
 * @param action `Cannot get image debian:12`
 * @param hint where the registry's error has none
 */
export function unavailable(error: unknown, action: string, hint?: string): unknown {
  if (!(error instanceof RemoteError)) return error
  const advice = error.hint ?? hint
  return new BuildError('image-unavailable', `${action}: ${error.message}`, {
    cause: error,
    ...(advice !== undefined && { hint: advice }),
  })
}
