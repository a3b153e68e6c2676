import type { Workload } from '../workload.ts'
import { start } from './b1-start.ts'
import { unchanged } from './b2-unchanged.ts'
import { unchangedLarge } from './b3-unchanged-large.ts'
import { oneChanged } from './b4-one-changed.ts'
import { copy } from './b5-copy.ts'
import { runOutput } from './b6-run-output.ts'
import { thirtySteps } from './b7-thirty-steps.ts'
import { stages } from './b8-stages.ts'
import { pullBase } from './b9-pull-base.ts'
import { article } from './b10-article.ts'
import { limits } from './limits.ts'
import { memory } from './m-memory.ts'
import { blobs } from './r1-blobs.ts'
import { smallRequests } from './r2-small-requests.ts'
import { push } from './r3-push.ts'
import { pull } from './r4-pull.ts'
import { inventory } from './r5-inventory.ts'
import { collection } from './r6-collection.ts'

const BUILDS = [
  start,
  unchanged,
  unchangedLarge,
  oneChanged,
  copy,
  runOutput,
  thirtySteps,
  stages,
  pullBase,
  article,
]
const REGISTRY = [blobs, smallRequests, push, pull, inventory, collection]

/** In the order of the table. */
export const WORKLOADS: readonly Workload[] = [limits, ...BUILDS, ...REGISTRY, memory]
