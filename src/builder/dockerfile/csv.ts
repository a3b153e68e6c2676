/**
 * The fields of one line of comma-separated values (RFC 4180): a field in double quotes may hold commas, and quotes
 * doubled. Undefined where a quote stands anywhere else.
 */
export function parseCsvRecord(text: string): readonly string[] | undefined {
  const fields: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (let separator = ','; separator === ','; ) {
    const match = field.exec(text)
    if (match === null) return undefined
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    separator = match[3] ?? ''
  }
  return fields
}
