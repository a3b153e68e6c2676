const UNITS: Readonly<Record<string, number>> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** Bytes, with a unit of 1024 as Docker reads them: `64m`, `1.5g`, `2GiB`. Undefined for what is no size. */
export function parseSize(text: string): number | undefined {
  const [, number, unit = 'b'] = /^(\d+(?:\.\d+)?) ?(?:([bkmgt])(?:i?b)?)?$/i.exec(text) ?? []
  const scale = UNITS[unit.toLowerCase()]
  if (number === undefined || scale === undefined) return undefined
  const bytes = Math.floor(Number(number) * scale)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
