/** Where the registry tells what happened; who wires it decides on the form. */
export interface RegistryLog {
  /** A request failed by a fault of ours: the client was told so in general words, and this is the cause. */
  failed(request: RequestLine, cause: unknown): void
  /** Every request, when its answer has been sent or nobody is there to take it. Left out, nothing is spent on it. */
  readonly answered?: (request: AnsweredRequest) => void
}

export interface RequestLine {
  readonly method: string
  /** Path and query, escaped as they came. */
  readonly url: string
}

export interface AnsweredRequest extends RequestLine {
  readonly status: number
  /** False when the client went away before all of the answer was sent. */
  readonly complete: boolean
  readonly elapsedMs: number
}
