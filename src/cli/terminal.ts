import type { Readable, Writable } from 'node:stream'
import type { WorkflowLog } from './ci/workflow-log.ts'

/** The edges of the process, as commands see them. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown }
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }
  /** Where standard error is the log of a GitHub Actions job; `stderr` is then its stream. */
  readonly workflow?: WorkflowLog
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute. */
  readonly workingDirectory: string
  readonly homeDirectory: string
  /** Of who started us, also where we have become root in a user namespace since. */
  readonly userID: number
  /** Undefined for who needs none, or has not asked. */
  readonly namespace?: NamespaceState
  /** Of Node: `linux`, `x64`. */
  readonly platform: string
  readonly arch: string
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds of a clock that never goes back. */
  monotonicMs(): number
}

/** Whether we are root in a user namespace of our own, and if not, why. */
export type NamespaceState =
  | {
      readonly kind: 'entered'
      /** Why all files in it belong to one user, where they do. */
      readonly singleIDReason?: string
    }
  | { readonly kind: 'refused'; readonly problem: string }
