/** `1.5 MB` */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toPrecision(3).replace(/\.?0+$/, '')} ${units[unit]}`
}

/** `3.1` */
export function formatSeconds(milliseconds: number, digits: number): string {
  return (Math.max(0, milliseconds) / 1000).toFixed(digits)
}

/** What `formatAge` measures: its units in seconds, and from how many of them on it is used. */
const UNITS: readonly { readonly name: string; readonly seconds: number; readonly from: number }[] = [
  { name: 'year', seconds: 365 * 86_400, from: 2 },
  { name: 'month', seconds: 30 * 86_400, from: 2 },
  { name: 'week', seconds: 7 * 86_400, from: 2 },
  { name: 'day', seconds: 86_400, from: 1 },
  { name: 'hour', seconds: 3600, from: 1 },
  { name: 'minute', seconds: 60, from: 1 },
]

/** `3 hours ago` at `now` (milliseconds since the epoch) for a time as configs have it; `-` for none or no time. */
export function formatAge(created: string | undefined, now: number): string {
  const then = Date.parse(created ?? '')
  if (Number.isNaN(then)) return '-'
  const age = Math.max(0, Math.floor((now - then) / 1000))
  const unit = UNITS.find(({ seconds, from }) => age >= seconds * from) ?? { name: 'second', seconds: 1 }
  const count = Math.floor(age / unit.seconds)
  return `${count} ${unit.name}${count === 1 ? '' : 's'} ago`
}
