/** What a load process can be asked to do, and what it answers. */
export interface Jobs {
  /** The same requests over and over on each connection. */
  requests: {
    readonly job: {
      readonly host: string
      readonly connections: number
      readonly seconds: number
      /** `HEAD /v2/`, with headers in lines of their own. */
      readonly requests: readonly string[]
    }
    readonly result: Rate
  }
  /** Each client fetches its paths, on one connection; for some seconds if they are given, else once. */
  downloads: {
    readonly job: {
      readonly host: string
      /** Of each client its paths, with headers in lines of their own. */
      readonly clients: readonly (readonly string[])[]
      readonly seconds?: number
    }
    readonly result: { readonly seconds: number; readonly bytes: number }
  }
  /** One blob from each of the clients at once: POST, one PATCH, the closing PUT. */
  pushes: {
    readonly job: {
      readonly host: string
      readonly repository: string
      /** Each makes other bytes. */
      readonly seeds: readonly string[]
      readonly bytes: number
    }
    readonly result: {
      readonly seconds: number
      readonly closingMs: readonly number[]
      readonly digests: readonly string[]
    }
  }
  /** New small blobs, one after another on each connection, until `seconds` are over or it is told to stop. */
  smallPushes: {
    readonly job: {
      readonly host: string
      readonly repository: string
      readonly connections: number
      readonly seconds: number
      readonly bytes: number
      readonly seed: string
    }
    readonly result: Rate
  }
}

export interface Rate {
  readonly count: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export type JobName = keyof Jobs
export type Order = { [Name in JobName]: { readonly kind: Name; readonly job: Jobs[Name]['job'] } }[JobName]

export type Message = (Order & { readonly id: number }) | { readonly kind: 'stop' }
export type Reply =
  | { readonly id: number; readonly result: Jobs[JobName]['result'] }
  | { readonly id: number; readonly error: string }
