import type { Digest } from '../../oci/digest.ts'

/** What happens in a build, as it happens. Times are milliseconds of a monotonic clock. */
export type ProgressEvent =
  | { readonly kind: 'started'; readonly vertex: Digest; readonly name: string; readonly at: number }
  | {
      readonly kind: 'output'
      readonly vertex: Digest
      readonly stream: 'stdout' | 'stderr'
      readonly chunk: Uint8Array
      readonly at: number
    }
  | { readonly kind: 'status'; readonly vertex: Digest; readonly text: string; readonly at: number }
  | { readonly kind: 'cached'; readonly vertex: Digest; readonly name: string; readonly at: number }
  | { readonly kind: 'done'; readonly vertex: Digest; readonly at: number }
  | { readonly kind: 'failed'; readonly vertex: Digest; readonly message: string; readonly at: number }
  | { readonly kind: 'canceled'; readonly vertex: Digest; readonly at: number }
  | { readonly kind: 'warning'; readonly text: string }

export type ProgressSink = (event: ProgressEvent) => void
