import { OciError } from '../../oci/errors.ts'
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import { parseReference } from '../../oci/reference.ts'
import type { Warning } from '../dockerfile/instructions.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { suggest } from '../dockerfile/suggest.ts'
import { BuildError, withSpan } from '../errors.ts'
import type { BaseImage, ResolveImage } from '../images/base-image.ts'

export interface BaseImagesDeps {
  readonly resolveImage: ResolveImage
  readonly signal: AbortSignal
  /** An image that is not found may be a stage with a typo. */
  readonly stageNames: readonly string[]
  warn(warning: Warning): void
}

/** The images that a Dockerfile names, each resolved once. */
export interface BaseImages {
  /** @throws BuildError with the place */
  find(word: string, platform: Platform, span: SourceSpan): Promise<BaseImage>
  /** Waits until nothing is being resolved any more. */
  settle(): Promise<void>
}

export function createBaseImages(deps: BaseImagesDeps): BaseImages {
  const images = new Map<string, Promise<BaseImage>>()

  const resolve = async (word: string, platform: Platform, span: SourceSpan): Promise<BaseImage> => {
    try {
      const image = await deps.resolveImage(parseReference(word), platform, deps.signal)
      const { os, architecture } = image.config
      if (os !== platform.os || architecture !== platform.architecture)
        deps.warn({
          rule: 'InvalidBaseImagePlatform',
          message: `Base image ${word} is for ${formatPlatform(image.config)}, not for ${formatPlatform(platform)}`,
          span,
        })
      return image
    } catch (error) {
      throw withSuggestion(placed(error, span), word, deps.stageNames)
    }
  }
  return {
    find(word, platform, span) {
      const key = `${word} ${formatPlatform(platform)}`
      const known = images.get(key)
      if (known !== undefined) return known
      const image = resolve(word, platform, span)
      images.set(key, image)
      return image
    },
    async settle() {
      await Promise.allSettled(images.values())
    },
  }
}

/** A name or platform that breaks its grammar is a mistake in the Dockerfile, at this line. */
export function placed(error: unknown, span: SourceSpan): unknown {
  const isGrammar =
    error instanceof OciError && (error.code === 'reference-invalid' || error.code === 'platform-invalid')
  if (!isGrammar) return withSpan(error, span)
  return new BuildError('dockerfile-invalid', error.message, { span, cause: error })
}

function withSuggestion(error: unknown, word: string, names: readonly string[]): unknown {
  if (!(error instanceof BuildError)) return error
  if (error.code !== 'image-missing' && error.code !== 'image-unavailable') return error
  const nearest = suggest(word, names)
  if (nearest === undefined) return error
  const { code, message, cause, span } = error
  const hint = `did you mean the stage ${nearest}?`
  return new BuildError(code, message, { cause, hint, ...(span !== undefined && { span }) })
}
