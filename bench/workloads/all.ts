import type { Workload } from '../workload.ts'
import { start } from './b1-start.ts'
import { unchanged } from './b2-unchanged.ts'
import { unchangedLarge } from './b3-unchanged-large.ts'
import { oneChanged } from './b4-one-changed.ts'
import { copy } from './b5-copy.ts'
import { runOutput } from './b6-run-output.ts'
import { limits } from './limits.ts'

/** In the order of the table. */
export const WORKLOADS: readonly Workload[] = [
  limits,
  start,
  unchanged,
  unchangedLarge,
  oneChanged,
  copy,
  runOutput,
]
