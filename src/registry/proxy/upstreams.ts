import { onDockerHub, parseReference, type RepositoryName } from '../../oci/reference.ts'
import type { Remote } from '../../remote/client.ts'
import type { RemoteRepository } from '../../remote/repository.ts'

/** One repository of a registry that we may pull through from. */
export interface Upstream {
  /** `docker.io` */
  readonly host: string
  /** Here: `docker.io/library/debian` */
  readonly name: RepositoryName
  /** The signal ends every wait of its calls. */
  repository(signal: AbortSignal): RemoteRepository
}

/** Undefined for repositories of our own, and for those of registries that nobody allowed. */
export type FindUpstream = (name: RepositoryName) => Upstream | undefined

/** @param hosts the registries that are allowed: without a list, anyone could make us fetch anything from anywhere */
export function createFindUpstream(
  remote: Pick<Remote, 'repository'>,
  hosts: readonly string[],
): FindUpstream {
  const allowed = new Set(hosts)
  return name => {
    const slash = name.indexOf('/')
    const host = slash < 0 ? '' : name.slice(0, slash)
    if (!allowed.has(host)) return undefined
    const reference = onDockerHub(parseReference(name))
    return { host, name, repository: signal => remote.repository(reference, { signal }) }
  }
}
