import { type Digest, isDigest } from './digest.ts'
import { OciError } from './errors.ts'

declare const repositoryNameBrand: unique symbol
declare const tagBrand: unique symbol

/**
 * A repository in the one namespace that builder and registry share: `app`, `team/app` are ours; names whose
 * first part is a host (`docker.io/library/debian`, `localhost:5000/app`) hold images from elsewhere.
 */
export type RepositoryName = string & { readonly [repositoryNameBrand]: true }
export type Tag = string & { readonly [tagBrand]: true }

export const LATEST = 'latest' as Tag

/** The registry that names without a host mean when they are not our own. */
export const DOCKER_HUB = 'docker.io'

/** `[HOST[:PORT]/]PATH[:TAG][@DIGEST]` taken apart. */
export interface Reference {
  /** `host` or `host:port`; undefined for a name without one. */
  readonly registry?: string
  /** The path within the registry, such as `library/debian`. */
  readonly path: string
  readonly tag?: Tag
  readonly digest?: Digest
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** A repository's path as the distribution-spec allows it ("Pulling manifests", `<name>`). */
export function isRepositoryPath(text: string): boolean {
  return text.length <= 255 && PATH.test(text)
}

export function isTag(text: string): text is Tag {
  return TAG.test(text)
}

/** A first part with a dot, a colon, or the word `localhost` is a host (as Docker reads names). */
export function isHost(text: string): boolean {
  return (/[.:]/.test(text) || text === 'localhost') && HOST.test(text)
}

/** True for a repository that holds images from elsewhere: its first part is a host. */
export function isFromElsewhere(repository: RepositoryName): boolean {
  const slash = repository.indexOf('/')
  return slash > 0 && isHost(repository.slice(0, slash))
}

/** @throws OciError `reference-invalid` with the rule that is broken */
export function parseReference(text: string): Reference {
  const [named = '', digestText, ...more] = text.split('@')
  if (more.length > 0) throw invalid(text, 'more than one @')
  if (digestText !== undefined && !isDigest(digestText))
    throw invalid(text, `${JSON.stringify(digestText)} is not a digest`)
  const digest = digestText !== undefined && isDigest(digestText) ? { digest: digestText } : {}

  const slash = named.indexOf('/')
  const first = slash < 0 ? '' : named.slice(0, slash)
  const registry = isHost(first) ? first.toLowerCase() : undefined
  const rest = registry === undefined ? named : named.slice(slash + 1)

  const colon = rest.lastIndexOf(':')
  const path = colon < 0 ? rest : rest.slice(0, colon)
  const tag = colon < 0 ? undefined : rest.slice(colon + 1)
  if (path === '') throw invalid(text, 'the name is empty')
  if (!isRepositoryPath(path)) {
    if (path !== path.toLowerCase() && isRepositoryPath(path.toLowerCase()))
      throw invalid(text, 'names are lower case')
    throw invalid(
      text,
      'a name is lower-case letters, digits and single separators (. _ __ -) in parts divided by /',
    )
  }
  if (tag !== undefined && !isTag(tag)) {
    throw invalid(
      text,
      `the tag ${JSON.stringify(tag)} must be up to 128 letters, digits and ._- and must not start with . or -`,
    )
  }
  return {
    ...(registry !== undefined && { registry }),
    path,
    ...(tag !== undefined && { tag: tag as Tag }),
    ...digest,
  }
}

/** The reference with `docker.io` and `library/` filled in where Docker Hub is meant. */
export function onDockerHub(reference: Reference): Reference & { readonly registry: string } {
  const registry =
    reference.registry === undefined || reference.registry === 'index.docker.io'
      ? DOCKER_HUB
      : reference.registry
  const path =
    registry === DOCKER_HUB && !reference.path.includes('/') ? `library/${reference.path}` : reference.path
  return { ...reference, registry, path }
}

/** The repository of our one namespace under which an image of this reference is kept. */
export function repositoryOf(reference: Reference): RepositoryName {
  return (
    reference.registry === undefined ? reference.path : `${reference.registry}/${reference.path}`
  ) as RepositoryName
}

/** From a URL's path. @throws OciError `reference-invalid` */
export function parseRepositoryName(text: string): RepositoryName {
  if (isRepositoryPath(text)) return text as RepositoryName
  throw invalid(
    text,
    'a repository name is lower-case letters, digits and single separators (. _ __ -) in parts divided by /',
  )
}

/** `host/path:tag@digest` */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${repositoryOf(reference)}${tag}${digest}`
}

function invalid(text: string, problem: string): OciError {
  return new OciError(
    'reference-invalid',
    `Cannot parse image name ${JSON.stringify(text.slice(0, 300))}: ${problem}`,
  )
}
