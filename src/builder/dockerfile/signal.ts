import { didYouMean, invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'
import { suggest } from './suggest.ts'

/** Names that Linux containers know, without `SIG`; `RTMIN+n` and `RTMAX-n` besides. */
const SIGNALS =
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ'.split(
    ' ',
  )

/** The most that may be added to RTMIN (34) or taken from RTMAX (64). */
const MAX_FROM_RTMIN = 15
const MAX_FROM_RTMAX = 14

/**
 * Checks what STOPSIGNAL names: a number but 0, or a name with or without `SIG`, in any case (semantics 19).
 * The config keeps the text as it is.
 * @throws BuildError `dockerfile-invalid`
 */
export function checkSignal(text: string, span: SourceSpan): void {
  if (/^[+-]?\d{1,18}$/.test(text) ? Number(text) !== 0 : isSignalName(text)) return
  const nearest = suggest(
    text.toUpperCase(),
    SIGNALS.map(name => `SIG${name}`),
  )
  throw invalid(
    `Cannot stop with the signal ${JSON.stringify(text)}: there is no such signal`,
    span,
    didYouMean(nearest),
  )
}

function isSignalName(text: string): boolean {
  const name = text.toUpperCase().replace(/^SIG/, '')
  if (SIGNALS.includes(name)) return true
  const realTime = /^RT(MIN|MAX)(?:([+-])([1-9]\d?))?$/.exec(name)
  if (realTime === null) return false
  const [, base, sign, digits] = realTime
  if (sign === undefined) return true
  return base === 'MIN'
    ? sign === '+' && Number(digits) <= MAX_FROM_RTMIN
    : sign === '-' && Number(digits) <= MAX_FROM_RTMAX
}
