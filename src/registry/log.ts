/** Where the registry tells what happened; who wires it decides on the form. */
export interface RegistryLog {
  /** A request failed by a fault of ours: the client was told so in general words, and this is the cause. */
  failed(request: RequestLine, cause: unknown): void
}

export interface RequestLine {
  /** The client has it too, in `X-Request-Id`. */
  readonly id: string
  readonly method: string
  /** Path and query, escaped as they came. */
  readonly url: string
}
