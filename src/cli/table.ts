import { textWidth } from './progress/text-width.ts'

/** Columns for people: headings in capitals, three spaces between. The last column is not padded. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows]
  const widths = headings.map((_, column) => Math.max(...all.map(row => textWidth(row[column] ?? ''))))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - textWidth(cell) + 3),
      )
      .join('')
  return `${all.map(line).join('\n')}\n`
}

/** `3 hours ago`, as Docker's tables say it. */
export function formatAge(milliseconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['year', 365 * 86_400],
    ['month', 30 * 86_400],
    ['week', 7 * 86_400],
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
    ['second', 1],
  ]
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const [unit, length] = units.find(([, size]) => seconds >= size * (size > 86_400 ? 2 : 1)) ?? ['second', 1]
  const count = Math.floor(seconds / length)
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`
}
