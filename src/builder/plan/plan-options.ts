import type { Platform } from '../../oci/platform.ts'
import type { NetworkMode } from '../exec/executor.ts'
import type { Entitlement } from './entitlements.ts'
import type { NamedContext } from './named-contexts.ts'

/** What the user says of a build beside the Dockerfile, as far as the plan depends on it. */
export interface PlanOptions {
  readonly buildArgs: ReadonlyMap<string, string>
  readonly target?: string
  /** Whether stages that the target does not need are planned as well, for what there is to warn of. */
  readonly everyStage?: boolean
  readonly labels: ReadonlyMap<string, string>
  readonly noCache: boolean
  /** Names or indexes of stages whose steps run although they may be in the cache. */
  readonly noCacheStages: readonly string[]
  /** By the name of a stage or an image that they stand for. */
  readonly namedContexts: ReadonlyMap<string, NamedContext>
  readonly network: NetworkMode
  /** What steps may ask for that takes walls away. Who gives `network: 'host'` allows it. */
  readonly allow: ReadonlySet<Entitlement>
  /** `name:address` */
  readonly extraHosts: readonly string[]
  /** Of the image, where the user asked for one. */
  readonly platform?: Platform
  readonly hostPlatform: Platform
  /** Whether names of steps tell their platform, as there are several. */
  readonly namesPlatform?: boolean
  /** Seconds since the epoch. */
  readonly sourceDateEpoch?: number
}
