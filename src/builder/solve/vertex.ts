/**
 * A build is a graph of vertices. A vertex has a definition digest, which merges equal work within one build, and
 * an op that turns the results of its inputs into one result. The op's cache key is made of what it does, what it
 * reads, and the results (not the definitions) of its inputs, so it means the same in every build: a step that
 * re-ran with the same outcome does not disturb what follows.
 */
import type { Digest } from '../../oci/digest.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { ContainerProcess } from '../exec/executor.ts'

/** A root filesystem: its layers, lowest first. A layer's blob may still have to be fetched (`ImageLayers.require`). */
export interface Result {
  /** Undefined for an empty root (`FROM scratch`). */
  readonly chainID: Digest | undefined
  /** The chain of what the layers say but for times; absent where it is that of the layers themselves. */
  readonly contentID?: Digest
  readonly layers: readonly ResultLayer[]
}

/** What a root filesystem is in a key: what is in it, not when it was made (semantics 97, 100). */
export function rootKey(root: Result | undefined): string {
  return root?.contentID ?? root?.chainID ?? 'scratch'
}

/** A layer whose size may not be known yet, because it lies in a registry. */
export type ResultLayer = Pick<LayerRecord, 'digest' | 'mediaType' | 'size' | 'diffID'>

export interface CacheKey {
  readonly digest: Digest
  /** Name and value of all that went into the digest, in order. */
  readonly parts: readonly (readonly [name: string, value: string])[]
}

export interface OpContext {
  readonly signal: AbortSignal
  /** True where no image of this build has the layer that is made: other steps read it, and that is all. */
  readonly isPassing?: boolean
  /** What the step prints, raw bytes. A promise tells when there may be more; it never rejects. */
  output(stream: 'stdout' | 'stderr', chunk: Uint8Array): void | Promise<void>
  /** One line for the step's log, such as how far a download is. */
  status(text: string): void
  /** Given where somebody may want to look: a step that fails hands over what it leaves. */
  keep?(scene: Scene): void
}

/** The root filesystem of a step that failed, as the step saw it. Disposing lets it go. */
export interface Scene extends AsyncDisposable {
  /**
   * Runs a shell on our own terminal, to its end.
   * @param env `NAME=value`, where the step has no such variable
   * @throws BuildError `run-failed` where the root filesystem has no shell
   */
  enter(shell: ShellDefinition, env: readonly string[], signal: AbortSignal): Promise<void>
}

/** The shell in which one looks at a step that failed. */
export interface ShellDefinition
  extends Pick<ContainerProcess, 'env' | 'cwd' | 'hostname' | 'network' | 'extraHosts'> {
  /** What SHELL of the Dockerfile names first. */
  readonly program: string
  /** What the step ran, as one types it in a shell; absent where it ran nothing. */
  readonly command?: string
}

/**
 * - `base` stands for a root that exists (an image, scratch): nothing to cache.
 * - `layer` adds one layer to its first input.
 */
export type Op = BaseOp | LayerOp

export interface BaseOp {
  readonly kind: 'base'
  exec(context: OpContext): Promise<Result>
}

export interface LayerOp {
  readonly kind: 'layer'
  /** Undefined: never cached. */
  cacheKey(inputs: readonly Result[], context: OpContext): Promise<CacheKey | undefined>
  /**
   * Of an op whose key reads files of its inputs: another key that does not. Equal quick keys mean equal keys. Absent
   * where files come from elsewhere.
   */
  quickKey?(inputs: readonly Result[]): CacheKey
  /** Called when the result is not cached, before the step waits for its turn. @throws what makes it impossible */
  prepare?(): Promise<void>
  exec(inputs: readonly Result[], context: OpContext): Promise<LayerRecord>
  /** Directories that stay between builds. Those that an unknown input has a part in are left out. */
  cacheMounts?(inputs: readonly (Result | undefined)[]): readonly UsedCacheMount[]
  /** What there was before the step, where the step has not come so far as to leave anything. */
  openScene?(inputs: readonly Result[], context: OpContext): Promise<Scene>
}

export interface UsedCacheMount {
  /** Tells one cache from another. */
  readonly key: Digest
  /** As the Dockerfile has it. */
  readonly id: string
}

export interface Vertex {
  /** Of the definition: the op's and the inputs'. */
  readonly digest: Digest
  /** `[build 2/5] RUN make` */
  readonly name: string
  readonly op: Op
  /** The first is the root that the op adds to; the others are read (`--from`). */
  readonly inputs: readonly Vertex[]
  readonly span?: SourceSpan
  readonly shell?: ShellDefinition
  /** Runs even if a record of it exists (`--no-cache`). */
  readonly ignoreCache?: boolean
}
