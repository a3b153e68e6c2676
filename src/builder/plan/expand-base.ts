import { type Platform, parsePlatform } from '../../oci/platform.ts'
import type { Stage } from '../dockerfile/instructions.ts'
import { BuildError } from '../errors.ts'
import { placed } from './base-images.ts'
import type { Expand } from './words.ts'

/** What a FROM line says, expanded. */
export interface Base {
  readonly word: string
  readonly platform: Platform
}

/**
 * @param values of the ARGs before the first FROM
 * @throws BuildError for a FROM line that is wrong
 */
export function expandBase(
  { base, platform, span }: Stage,
  expand: Expand,
  values: ReadonlyMap<string, string>,
  { imagePlatform, hostPlatform }: { readonly imagePlatform: Platform; readonly hostPlatform: Platform },
): Base {
  const word = expand.word(base, values, span)
  if (word === '')
    throw new BuildError('dockerfile-invalid', `Cannot build FROM ${base}: the name is empty`, {
      span,
      hint: 'an ARG in a FROM line needs a default, or a --build-arg',
    })
  if (platform === undefined) return { word, platform: imagePlatform }
  const text = expand.word(platform, values, span)
  try {
    return { word, platform: parsePlatform(text, hostPlatform) }
  } catch (error) {
    throw placed(error, span)
  }
}
