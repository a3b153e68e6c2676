import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import type { DockerfileSource, SourceSpan } from './dockerfile/source.ts'
import type { Executor, NetworkMode } from './exec/executor.ts'
import type { Output } from './export/output.ts'
import type { ImageRegistries } from './images/registry-source.ts'
import type { Snapshotter } from './snapshot/snapshotter.ts'
import type { ProgressSink } from './solve/progress.ts'

export type { Output } from './export/output.ts'

export interface BuildOptions {
  /** Directory that COPY and ADD read. */
  readonly context: string
  readonly dockerfile: DockerfileSource
  /** Where the Dockerfile lies on disk: `<path>.dockerignore` beats the context's `.dockerignore`. */
  readonly dockerfilePath?: string
  /** Names for the image, without digests; a name without a tag gets `latest`. */
  readonly tags: readonly Reference[]
  readonly buildArgs: ReadonlyMap<string, string>
  /** Name or index of the stage to build; the last one by default. */
  readonly target?: string
  /** Added to the image's labels, over those of the Dockerfile. */
  readonly labels: ReadonlyMap<string, string>
  /** Executes every step, although it may be in the cache. */
  readonly noCache: boolean
  /** Asks registries for newer base images, although they are in the store. */
  readonly pull: boolean
  readonly network: NetworkMode
  /** None means the store. */
  readonly outputs: readonly Output[]
  /** Of the image; the host's by default. */
  readonly platform?: Platform
  /** `name:address` for /etc/hosts of RUN. */
  readonly extraHosts: readonly string[]
}

/** What RUN needs. */
export interface Sandbox {
  readonly executor: Executor
  readonly snapshotter: Snapshotter
}

export interface BuildDeps {
  readonly store: Store
  readonly remote: ImageRegistries
  /** Called at most once, and only when a RUN has to be executed. */
  readonly openSandbox: () => Promise<Sandbox>
  readonly progress: ProgressSink
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds of a monotonic clock, for progress. */
  readonly monotonicNow: () => number
  readonly signal: AbortSignal
  readonly hostPlatform: Platform
  /** Seconds since the epoch: no time in what the build makes is later (SOURCE_DATE_EPOCH). */
  readonly sourceDateEpoch?: number
  /** Containers that run at once. */
  readonly concurrency: number
}

export interface BuildWarning {
  readonly text: string
  readonly span?: SourceSpan
}

export interface BuildResult {
  /** Digest of the image config. */
  readonly imageID: Digest
  /** Digest of the image manifest. */
  readonly digest: Digest
  /** Of the manifest. */
  readonly descriptor: Descriptor
  /** Config and compressed layers, in bytes. */
  readonly size: number
  readonly warnings: readonly BuildWarning[]
}

/**
 * Builds an image (or the files of one) from a Dockerfile and writes every output.
 * @throws BuildError, or the error of the area that failed; the signal's reason when it is aborted
 */
export async function build(_options: BuildOptions, _deps: BuildDeps): Promise<BuildResult> {
  throw new Error('not wired yet')
}
