/** What a build is asked for, what it needs, and what it gives back. */
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Limits } from '../oci/limits.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import type { AttestationSettings } from './attest/attest.ts'
import type { CacheSource, CacheTarget } from './cache/cache-end.ts'
import type { CacheRegistries } from './cache/export-cache.ts'
import type { DockerfileSource, SourceSpan } from './dockerfile/source.ts'
import type { NetworkMode } from './exec/executor.ts'
import type { StepLimits } from './exec/limits.ts'
import type { DnsSettings } from './exec/resolver.ts'
import type { Output } from './export/output.ts'
import type { Sources } from './fetch/sources.ts'
import type { ImageRegistries } from './images/registry-source.ts'
import type { Sandbox } from './ops/run.ts'
import type { Entitlement } from './plan/entitlements.ts'
import type { NamedContext } from './plan/named-contexts.ts'
import type { SecretSource } from './secrets.ts'
import type { Explanation } from './solve/explain.ts'
import type { OnFailure } from './solve/failure.ts'
import type { ProgressSink } from './solve/progress.ts'
import type { FileTree } from './tree/file-tree.ts'

export interface BuildOptions {
  /** What COPY and ADD read: a directory, or files that were read from elsewhere. */
  readonly context: string | FileTree
  readonly dockerfile: DockerfileSource
  /** Gives the files of contexts the modes of any checkout: see `withNormalModes`. */
  readonly normalizeModes?: boolean
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
  /** Names or indexes of stages whose steps are executed, although they may be in the cache. */
  readonly noCacheStages: readonly string[]
  /** Asks registries for newer base images, although they are in the store. */
  readonly pull: boolean
  /** What names of stages and images stand for instead (`--build-context`). */
  readonly namedContexts: ReadonlyMap<string, NamedContext>
  /** Caches of other machines, where steps are looked for that are not in our own. */
  readonly cacheFrom: readonly CacheSource[]
  /** Where other machines will look for the steps of this build. */
  readonly cacheTo: readonly CacheTarget[]
  readonly network: NetworkMode
  /** What steps may ask for that takes walls away. */
  readonly allow: ReadonlySet<Entitlement>
  /** Of every RUN. */
  readonly limits: StepLimits
  /** None means the store. */
  readonly outputs: readonly Output[]
  /** Of the image, one or several; the host's where there is none. */
  readonly platforms: readonly Platform[]
  /** `name:address` for /etc/hosts of RUN. */
  readonly extraHosts: readonly string[]
  /** What RUN asks for names, instead of what this machine does. */
  readonly dns?: DnsSettings
  /** What to say of the image beside it. */
  readonly attestations: AttestationSettings
  /** By id; read when a step needs them. */
  readonly secrets: ReadonlyMap<string, SecretSource>
}

export interface BuildDeps {
  readonly store: Store
  readonly remote: ImageRegistries & CacheRegistries
  /** Called before a step for a platform (`linux/arm64`) is run. @throws BuildError `platform-unsupported` */
  readonly requirePlatform: (platform: string) => Promise<void>
  /** What ADD and steps take from elsewhere; the caller closes it. */
  readonly sources: Sources
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
  /** Shown what a step that failed has left, before it is taken away. */
  readonly onFailure?: OnFailure
  /** What images, archives and contexts may cost; what is not given has its default. */
  readonly contentLimits?: Partial<Limits>
  /** Told why each step is executed, before it is. */
  readonly explain?: (explanation: Explanation) => void
}

export interface BuildWarning {
  /** The name of BuildKit's rule. */
  readonly rule?: string
  readonly text: string
  readonly span?: SourceSpan
}

export interface BuildResult {
  /** Digest of the image config; of several images that of the index. */
  readonly imageID: Digest
  /** Digest of the image manifest, or of the index that holds it: of the first output that has an image. */
  readonly digest: Digest
  /** Of the same. */
  readonly descriptor: Descriptor
  readonly images: readonly { readonly platform: Platform; readonly digest: Digest }[]
  /** Configs and compressed layers, in bytes; what occurs twice counts once. */
  readonly size: number
  readonly warnings: readonly BuildWarning[]
  /** The directory with what the executed steps printed, where any was executed. */
  readonly logs?: string
}
