import type { Mount } from '../snapshot/snapshotter.ts'
import type { StepUsage } from './control-group.ts'
import type { ContainerLimits } from './limits.ts'
import type { DnsSettings } from './resolver.ts'

export type NetworkMode = 'default' | 'host' | 'none'

/**
 * What a process sees beside its root filesystem. Targets are absolute; what they lead through is looked up inside the
 * root filesystem. Nothing of a mount is left there.
 */
export type ContainerMount = SnapshotMount | TmpfsMount | DirectoryMount | FileMount | SocketMount

interface MountTarget {
  readonly target: string
  readonly readOnly: boolean
}

/** Files of another root filesystem. What is written there is lost, unless its owner keeps it. */
export interface SnapshotMount extends MountTarget {
  readonly kind: 'snapshot'
  readonly rootfs: readonly Mount[]
  /** A file or directory of it; symlinks do not lead out. */
  readonly source: string
}

export interface TmpfsMount extends MountTarget {
  readonly kind: 'tmpfs'
  /** In bytes; half of the machine's memory by default. */
  readonly size?: number
}

/** A directory of this machine; what is written there stays. */
export interface DirectoryMount extends MountTarget {
  readonly kind: 'directory'
  /** Absolute path. */
  readonly source: string
}

/** A file that is in memory alone, and only as long as the container: a secret, or a script. */
export interface FileMount extends MountTarget {
  readonly kind: 'file'
  readonly content: Uint8Array
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** A socket of this machine, on which somebody listens as long as the container runs. */
export interface SocketMount extends MountTarget {
  readonly kind: 'socket'
  /** Absolute path. */
  readonly source: string
}

/** A process in a container. All values are final: nothing is looked up or expanded any more. */
export interface ContainerProcess {
  readonly args: readonly string[]
  /** `NAME=value` */
  readonly env: readonly string[]
  /** Absolute. Made when it is missing, with what is missing above it, owned by the user. */
  readonly cwd: string
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }
  readonly hostname: string
  readonly network: NetworkMode
  /** `address name` lines added to /etc/hosts; `host-gateway` as an address is that of this machine. */
  readonly extraHosts: readonly string[]
  /** Instead of what this machine asks for names. */
  readonly dns?: DnsSettings
  /** An outer target before what lies in it. */
  readonly mounts: readonly ContainerMount[]
  /** It has a terminal, which is ours: what is typed goes there, and nothing to `output`. */
  readonly isInteractive?: boolean
  readonly limits: ContainerLimits
  /** Without our walls: every capability and device, and no filter over system calls. */
  readonly isPrivileged: boolean
}

export interface ExecContext {
  readonly signal: AbortSignal
  /** One line that the user should know. */
  note?(text: string): void
  /** A promise tells when there may be more: the process waits for it. It never rejects. */
  output(stream: 'stdout' | 'stderr', chunk: Uint8Array): void | Promise<void>
}

export interface Outcome {
  readonly exitCode: number
  /** Where this machine tells. */
  readonly usage?: StepUsage
}

export interface Executor {
  /**
   * Runs the process to its end in a new container over the mounted root filesystem; when it returns, every process
   * of the container is gone and every mount of the executor's own is undone. Mount points that it had to make in
   * the root filesystem are removed again where the step left them empty.
   * @throws BuildError `runtime-missing`, `privilege-missing`, `source-missing` (of a mount), `run-failed` (the process
   *   could not be started); the signal's reason after the container has been killed
   */
  run(process: ContainerProcess, rootfs: readonly Mount[], context: ExecContext): Promise<Outcome>
}
