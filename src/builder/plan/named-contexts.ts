/** `--build-context`: names that mean something else than the Dockerfile and the registry say (semantics 16, 59). */
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { formatReference, onDockerHub, parseReference } from '../../oci/reference.ts'
import { displayContext, parseGitContext } from '../fetch/git-reference.ts'

export type NamedContext =
  /** Its own ignore file applies. */
  | { readonly kind: 'directory'; readonly directory: string }
  /** A Git repository, or a URL; no ignore file applies. */
  | { readonly kind: 'remote'; readonly location: string }
  /** An image by its name. */
  | { readonly kind: 'image'; readonly name: string }
  /** An image in a directory in OCI layout: the one with this digest or tag, or the only one. */
  | {
      readonly kind: 'layout'
      readonly directory: string
      readonly tag?: string
      readonly digest?: Digest
    }
  /** Another stage of the Dockerfile. */
  | { readonly kind: 'stage'; readonly stage: string }

export interface FoundContext {
  /** As it was given. */
  readonly name: string
  readonly context: NamedContext
}

/** Finds a context by a name as a Dockerfile writes it: `debian` is `docker.io/library/debian:latest` too. */
export function createNamedContexts(
  given: ReadonlyMap<string, NamedContext>,
): (word: string) => FoundContext | undefined {
  const found = new Map([...given].map(([name, context]) => [keyOf(name), { name, context }]))
  return word => (found.size === 0 ? undefined : found.get(keyOf(word)))
}

/** What the history says of a layer with the files of a context, word for word as BuildKit. */
export function sourceDescription(
  name: string,
  context: Extract<NamedContext, { kind: 'directory' | 'remote' }>,
): string {
  if (context.kind === 'directory') return `local source for ${name}`
  const isGit = parseGitContext(context.location) !== undefined
  return isGit ? `git snapshot for ${displayContext(context.location)}` : `files of ${name}`
}

function keyOf(word: string): string {
  const name = word.toLowerCase()
  try {
    return formatReference(onDockerHub(parseReference(name))).replace(/:latest$/, '')
  } catch (error) {
    if (error instanceof OciError && error.code === 'reference-invalid') return name
    throw error
  }
}
