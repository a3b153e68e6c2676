/**
 * A build is a graph of vertices. A vertex has a definition digest, which merges equal work within one build, and
 * an op that turns the results of its inputs into one result. The op's cache key is made of what it does, what it
 * reads, and the results (not the definitions) of its inputs, so it means the same in every build: a step that
 * re-ran with the same outcome does not disturb what follows.
 */
import type { Digest } from '../../oci/digest.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { SourceSpan } from '../dockerfile/source.ts'

/** A root filesystem: its layers, lowest first. A layer's blob may still have to be fetched (`ImageLayers.require`). */
export interface Result {
  /** Undefined for an empty root (`FROM scratch`). */
  readonly chainID: Digest | undefined
  readonly layers: readonly ResultLayer[]
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
  /** Runs even if a record of it exists (`--no-cache`). */
  readonly ignoreCache?: boolean
}
