import type { Digest } from '../../oci/digest.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { NetworkMode } from '../exec/executor.ts'
import type { CopySource, Unpacking } from '../ops/copy-spec.ts'
import type { Op, ResultLayer } from '../solve/vertex.ts'

/**
 * What a vertex does, as plain data: everything final, nothing to expand or look up any more. Its JSON is what
 * the vertex's definition digest is made of.
 */
export type OpDefinition = ImageDefinition | RunDefinition | TransferDefinition | WorkdirDefinition

/** A root filesystem to begin with; no layers for scratch. */
export interface ImageDefinition {
  readonly kind: 'image'
  /** Of the manifest; absent for scratch. */
  readonly digest?: Digest
  readonly layers: readonly ResultLayer[]
}

export interface RunDefinition {
  readonly kind: 'run'
  readonly args: readonly string[]
  /** `NAME=value` */
  readonly env: readonly string[]
  /** Added to `env`, but not part of what the step is: proxies. */
  readonly proxyEnv: readonly string[]
  readonly cwd: string
  /** The config's `User`; empty for root. */
  readonly user: string
  readonly hostname: string
  readonly network: NetworkMode
  /** `name:address` */
  readonly extraHosts: readonly string[]
  /** `linux/amd64` */
  readonly platform: string
  /** `--security=insecure` */
  readonly isPrivileged?: true
  /** An outer target before what lies in it. */
  readonly mounts: readonly MountDefinition[]
}

/** Targets are absolute and clean. */
export type MountDefinition =
  | BindDefinition
  | ContextBindDefinition
  | TmpfsDefinition
  | CacheDefinition
  | SecretDefinition
  | SshDefinition
  | ScriptDefinition

/** The root filesystem that a mount takes its files from: one of the inputs of RUN. */
export interface MountInput {
  readonly input: number
  /** A file or directory of it, relative to the root. */
  readonly source: string
}

export interface BindDefinition extends MountInput {
  readonly kind: 'bind'
  readonly target: string
  readonly readOnly: boolean
}

/** A bind of a build context: a copy without what is ignored, and safe from changes meanwhile. */
export interface ContextBindDefinition {
  readonly kind: 'context'
  readonly target: string
  readonly readOnly: boolean
  /** Of the build context, where it is another than the main one. */
  readonly context?: string
  /** A file or directory of it, relative to its root. */
  readonly source: string
}

export interface SecretDefinition {
  readonly kind: 'secret'
  readonly target: string
  /** False for one that is a variable alone. */
  readonly isFile: boolean
  readonly env?: string
  readonly id: string
  readonly required: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** The socket of an ssh agent. */
export interface SshDefinition {
  readonly kind: 'ssh'
  readonly target: string
  /** Whether SSH_AUTH_SOCK names it. */
  readonly isDefault: boolean
  readonly id: string
  readonly required: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** A heredoc that is run as a program. */
export interface ScriptDefinition {
  readonly kind: 'script'
  readonly target: string
  readonly content: string
}

export interface CacheDefinition {
  readonly kind: 'cache'
  readonly target: string
  readonly readOnly: boolean
  readonly id: string
  readonly sharing: 'shared' | 'private' | 'locked'
  /** Of a cache that has to be made: what it begins with, and whom it belongs to. */
  readonly seed?: MountInput
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

export interface TmpfsDefinition {
  readonly kind: 'tmpfs'
  readonly target: string
  readonly readOnly: boolean
  /** In bytes. */
  readonly size?: number
}

/** COPY and ADD. With `from: 'stage'` the root copied from is the op's second input. */
export interface TransferDefinition {
  readonly kind: 'copy' | 'add'
  readonly from: 'context' | 'stage'
  /** Of the build context, where it is another than the main one. */
  readonly context?: string
  readonly sources: readonly CopySource[]
  readonly exclude: readonly string[]
  readonly parents: boolean
  readonly destination: string
  readonly workdir: string
  readonly chown?: string
  readonly chmod?: string
  readonly link: boolean
  readonly unpack: Unpacking
  /** Time of what no source gives a time to, in seconds since the epoch. */
  readonly createdAt: number
}

export interface WorkdirDefinition {
  readonly kind: 'workdir'
  readonly path: string
  readonly user: string
  readonly createdAt: number
}

/** @throws BuildError for a definition that cannot work, such as an invalid `chmod` */
export type CreateOp = (definition: OpDefinition, span: SourceSpan) => Op
