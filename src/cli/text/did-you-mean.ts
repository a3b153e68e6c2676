import { suggest } from '../../builder/dockerfile/suggest.ts'

/** ` (did you mean --target?)`, or nothing where no candidate is near. */
export function didYouMean(word: string, candidates: readonly string[], prefix = ''): string {
  const nearest = suggest(word, candidates)
  return nearest === undefined ? '' : ` (did you mean ${prefix}${nearest}?)`
}
