/** The fields of one line of CSV (RFC 4180), as Docker's `key=value,...` flags are written; undefined for an open quote. */
export function splitCsv(text: string): readonly string[] | undefined {
  const fields: string[] = []
  let rest = text
  for (;;) {
    if (rest.startsWith('"')) {
      const match = /^"((?:[^"]|"")*)"(?:,|$)/.exec(rest)
      if (match === null) return undefined
      fields.push((match[1] ?? '').replaceAll('""', '"'))
      rest = rest.slice(match[0].length)
      if (!match[0].endsWith(',')) return fields
      continue
    }
    const comma = rest.indexOf(',')
    if (comma < 0) return [...fields, rest]
    fields.push(rest.slice(0, comma))
    rest = rest.slice(comma + 1)
  }
}
