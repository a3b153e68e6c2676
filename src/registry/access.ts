/**
 * Who asks, and what they may do. `app.ts` asks once per request, before its handler runs; a handler asks again
 * only about repositories that the path does not name: the source of a mount, the names of the catalog.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { RepositoryName } from '../oci/reference.ts'
import type { Target } from './route.ts'

export type Principal =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'robot'; readonly name: string }

/** What can be done to a repository. Listing its tags and referrers is part of pulling. */
export type RepositoryAction = 'pull' | 'push' | 'delete'

/** What a request is let do. */
export interface Grant {
  readonly principal: Principal
  may(action: RepositoryAction, name: RepositoryName): boolean
}

/** What of a request decides. */
export interface AccessRequest {
  readonly method: string
  readonly target: Target
  readonly query: URLSearchParams
  /** The target is another registry's, because there is no repository of ours of this name. */
  readonly missing?: RepositoryName
  readonly client: ClientInfo
  /** Told who asks as soon as that is known: logs name also who is refused. */
  readonly identified?: (principal: Principal) => void
}

/** The client as its connection and its headers show it. */
export interface ClientInfo {
  readonly headers: IncomingHttpHeaders
  /** The other end of the connection, which may be a proxy's. */
  readonly address: string
  readonly isEncrypted: boolean
}

export interface Access {
  /** @throws RegistryError `unauthorized` with the challenge, `denied`, `rate-limited`, `name-unknown` */
  authorize(request: AccessRequest): Promise<Grant>
  /** For paths that are not the distribution API's: who it is. @throws RegistryError `unauthorized`, `rate-limited` */
  identify(client: ClientInfo): Promise<Grant>
}

/** A registry without users: everyone may do everything. */
export const everyoneMay: Grant = { principal: { kind: 'anonymous' }, may: () => true }
