/**
 * `[limits]` of the configuration file, as far as it is about what content may cost:
 *
 * ```toml
 * [limits]
 * archive-entries = 5_000_000
 * archive-bytes = "2t"
 * connect-timeout = "30s"
 * ```
 */
import { DEFAULT_LIMITS, type Limits, limitKey } from '../../oci/limits.ts'
import { DEFAULT_TIMEOUTS, type Timeouts } from '../../remote/transport.ts'
import { parseSize } from '../build/size.ts'
import { parseDuration } from '../text/duration.ts'
import type { RefuseKey } from './policy.ts'

/** As the file has it: counts are numbers, sizes and times are text. */
export type LimitsConfig = Readonly<Record<string, unknown>>

export interface LimitSettings {
  readonly contentLimits: Limits
  readonly timeouts: Timeouts
}

const NAMES = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[]

const TIMEOUT_KEYS = {
  connectMs: 'connect-timeout',
  idleMs: 'idle-timeout',
  answerMs: 'answer-timeout',
} as const satisfies Record<keyof Timeouts, string>

/** The keys of the table, with what they hold. */
export const LIMIT_KEYS: Readonly<Record<string, 'count' | 'string'>> = {
  ...Object.fromEntries(NAMES.map(name => [limitKey(name), isSize(name) ? 'string' : 'count'])),
  ...Object.fromEntries(Object.values(TIMEOUT_KEYS).map(key => [key, 'string'])),
}

/** @throws what `refuse` makes */
export function limitSettings(config: LimitsConfig, refuse: RefuseKey): LimitSettings {
  const read = <Name extends string>(
    name: Name,
    key: string,
    parse: (value: unknown) => number | undefined,
    want: string,
  ): Partial<Record<Name, number>> => {
    const value = config[key]
    if (value === undefined) return {}
    const parsed = parse(value)
    if (parsed === undefined || parsed < 1)
      throw refuse(['limits', key], `is ${JSON.stringify(value)}, want ${want}`)
    return { [name]: parsed } as Partial<Record<Name, number>>
  }
  const limits = NAMES.map(name =>
    isSize(name)
      ? read(name, limitKey(name), value => parseSize(String(value)), 'a size such as 64m')
      : read(name, limitKey(name), Number, 'a number from 1'),
  )
  const timeouts = (Object.keys(TIMEOUT_KEYS) as (keyof Timeouts)[]).map(name =>
    read(name, TIMEOUT_KEYS[name], value => parseDuration(String(value)), 'a time such as 30s'),
  )
  return {
    contentLimits: Object.assign({}, DEFAULT_LIMITS, ...limits),
    timeouts: Object.assign({}, DEFAULT_TIMEOUTS, ...timeouts),
  }
}

function isSize(name: keyof Limits): boolean {
  return name.endsWith('Bytes')
}
