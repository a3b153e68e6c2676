import { textWidth } from '../progress/text-width.ts'

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
