/**
 * Which repository a request means. A client that uses us in another registry's place says so with `?ns=docker.io`
 * (containerd; distribution-spec "Pulling manifests"), or, as Docker's `registry-mirrors` do, not at all: then a name
 * that we have no repository of is taken to be the default registry's. Names are resolved before anybody's rights are
 * looked at: those are about the repository that is meant.
 */
import {
  DOCKER_HUB,
  isHost,
  onDockerHub,
  parseReference,
  type RepositoryName,
  repositoryOf,
} from '../../oci/reference.ts'
import { RegistryError } from '../errors.ts'
import type { RepositoryStore } from '../repository-store.ts'
import type { Target } from '../route.ts'

export interface Resolved {
  readonly target: Target
  /** The registry that was asked for with `ns`, for the answer's `OCI-Namespace`. */
  readonly namespace?: string
  /** The name as it was asked for, where there is no repository of ours of that name and another registry's is meant. */
  readonly missing?: RepositoryName
}

export interface NameResolver {
  /** @throws RegistryError `name-invalid` for a namespace that is no host */
  resolve(target: Target, method: string, query: URLSearchParams): Promise<Resolved>
}

export interface NameResolverDeps {
  readonly repositories: Pick<RepositoryStore, 'listTags'>
  /** The registry of names that are not our own. */
  readonly defaultHost?: string
  /**
   * Whether other registries are pulled through. Where they are not, a namespace is only heeded for what is here of it:
   * a registry that others use as a mirror holds what was pushed to it under the names alone.
   */
  readonly isProxy: boolean
}

export function createNameResolver({ repositories, defaultHost, isProxy }: NameResolverDeps): NameResolver {
  const isOwn = async (name: RepositoryName): Promise<boolean> =>
    (await repositories.listTags(name, { limit: 1 })) !== undefined

  return {
    async resolve(target, method, query) {
      if (!('name' in target)) return { target }
      const namespace = readNamespace(query)
      if (namespace !== undefined) {
        const name = nameAt(namespace, target.name)
        // Whether a client of the default's mirror names it or not, ours come first.
        const mayBeOurs = isMirrored(target, method) && nameElsewhere(target.name, defaultHost) === name
        if (mayBeOurs && (await isOwn(target.name))) return { target, namespace }
        if (!isProxy && !(await isOwn(name))) return { target }
        return { target: { ...target, name }, namespace, ...(mayBeOurs && { missing: target.name }) }
      }
      const meant = nameElsewhere(target.name, defaultHost)
      if (meant === undefined) return { target }
      const isForeign = parseReference(target.name).registry !== undefined
      if (isForeign) return { target: { ...target, name: meant } }
      if (!isMirrored(target, method) || (await isOwn(target.name))) return { target }
      return { target: { ...target, name: meant }, missing: target.name }
    },
  }
}

/** The repository of another registry that may be meant by a name; undefined when it can only be ours. */
export function nameElsewhere(name: RepositoryName, defaultHost?: string): RepositoryName | undefined {
  if (parseReference(name).registry !== undefined) return nameAt(undefined, name)
  // Docker Hub has no names of one part: `debian` is ours, or nobody's.
  const isThere = defaultHost !== undefined && (defaultHost !== DOCKER_HUB || name.includes('/'))
  return isThere ? nameAt(defaultHost, name) : undefined
}

/** Docker Hub's names in full. */
function nameAt(registry: string | undefined, name: RepositoryName): RepositoryName {
  const reference = parseReference(name)
  return repositoryOf(
    registry === undefined
      ? onDockerHub(reference)
      : onDockerHub({ registry, path: repositoryOf(reference) }),
  )
}

/**
 * What the clients of a mirror ask for. Not whether there is a blob: that is what a push asks, and a blob of the
 * other registry would be taken for one that need not be pushed.
 */
function isMirrored({ kind }: Target, method: string): boolean {
  if (kind === 'blob') return method === 'GET'
  const isReading = method === 'GET' || method === 'HEAD'
  return isReading && (kind === 'manifest' || kind === 'tags' || kind === 'referrers')
}

function readNamespace(query: URLSearchParams): string | undefined {
  const text = query.get('ns')
  if (text === null || text === '') return undefined
  const host = text.toLowerCase()
  if (isHost(host)) return host
  throw new RegistryError(
    'name-invalid',
    `Cannot read ns=${JSON.stringify(text.slice(0, 100))}: want the host of a registry, such as docker.io`,
  )
}
