/** What a proxy is told of its own use, as it happens: how much the cache is worth. */
export interface ProxyUsage {
  /**
   * Something was asked for that there is. @param kind manifests by GET and by HEAD, blobs by GET
   * @param isHit it was here, be it that its upstream was asked whether it is still what the tag means
   */
  served(kind: 'manifest' | 'blob', isHit: boolean): void
  /** Content came from an upstream, of a manifest or blob, whole or not. */
  received(bytes: number): void
}

export const UNWATCHED: ProxyUsage = { served: () => undefined, received: () => undefined }
