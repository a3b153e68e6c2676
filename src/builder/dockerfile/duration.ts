/** Nanoseconds of each unit of Go's durations. */
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

const TERM = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/y
const MAX_NANOSECONDS = 2n ** 63n - 1n
const MAX_TEXT_LENGTH = 100

/** Nanoseconds of a duration as Go writes it: `1h15m30.5s`, `-1.5ms`, `0`. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const unsigned = text.replace(/^[+-]/, '')
  if (unsigned === '0') return 0
  if (unsigned === '' || unsigned.length > MAX_TEXT_LENGTH) return undefined
  let nanoseconds = 0n
  TERM.lastIndex = 0
  while (TERM.lastIndex < unsigned.length) {
    const match = TERM.exec(unsigned)
    const [, whole = '', fraction = '', unit = ''] = match ?? []
    const scale = UNITS[unit]
    if (scale === undefined || (whole === '' && fraction === '')) return undefined
    nanoseconds += BigInt(whole) * scale + (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length)
    if (nanoseconds > MAX_NANOSECONDS) return undefined
  }
  return Number(text.startsWith('-') ? -nanoseconds : nanoseconds)
}
