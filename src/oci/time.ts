/** As Go writes RFC 3339, and so the configs of most tools: no zeros at the end of a fraction, `Z` for UTC. */
export function formatTime(milliseconds: number): string {
  return asGoWrites(new Date(milliseconds).toISOString())
}

/** The same time in that form; what is no such time stays what it is. */
export function asGoWrites(time: string): string {
  const [, seconds, fraction = '', zone] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(time) ?? []
  if (seconds === undefined) return time
  return `${seconds}${fraction.replace(/\.?0+$/, '')}${zone === '+00:00' ? 'Z' : zone}`
}
