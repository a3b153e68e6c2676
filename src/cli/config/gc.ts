/** `[gc]` of the configuration file: how `serve` collects garbage by itself. */
import { CliError } from '../errors.ts'
import { parseDuration } from '../text/duration.ts'
import type { RefuseKey } from './policy.ts'

/** As the file has it. */
export interface GcConfig {
  readonly every?: string
  readonly grace?: string
}

export const GC_SHAPE = { keys: { every: 'string', grace: 'string' } } as const

export interface GcSettings {
  /** Undefined when `serve` is to leave it to `slipway gc`. */
  readonly everyMs: number | undefined
  readonly graceMs: number
}

const DEFAULT_EVERY = '1h'

/** Longer than that of `slipway gc`: nobody asked for this collection, and may still want what has lost its tag. */
const DEFAULT_GRACE = '24h'

/** @throws what `refuse` makes; without it CliError `config-invalid-file` */
export function gcSettings(
  { every = DEFAULT_EVERY, grace = DEFAULT_GRACE }: GcConfig,
  refuse: RefuseKey = refused,
): GcSettings {
  const durationOf = (key: string, text: string, wanted: string): number => {
    const ms = parseDuration(text)
    if (ms !== undefined && (ms > 0 || key === 'grace')) return ms
    throw refuse(['gc', key], `is ${JSON.stringify(text)}, want ${wanted}`)
  }
  return {
    everyMs: every === 'off' ? undefined : durationOf('every', every, 'a time such as 1h, or off'),
    graceMs: durationOf('grace', grace, 'a time such as 24h'),
  }
}

function refused(place: readonly string[], problem: string): CliError {
  return new CliError('config-invalid-file', `Cannot read configuration: ${place.join('.')} ${problem}`)
}
