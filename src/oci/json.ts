/** Readers for JSON of unknown origin: each returns the typed value, or undefined when the shape is another. */

export type JsonObject = { readonly [key: string]: unknown }

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isStringArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

/** An object whose values are all strings, such as labels and annotations. */
export function isStringMap(value: unknown): value is Readonly<Record<string, string>> {
  return isJsonObject(value) && Object.values(value).every(item => typeof item === 'string')
}

/** Deeper than anything of ours or of the specifications; what walks the value again does so by recursion. */
const MAX_DEPTH = 500

/** Undefined for what is not JSON in valid UTF-8, or is nested too deeply. */
export function parseJson(bytes: Uint8Array): unknown {
  if (isDeeperThan(bytes, MAX_DEPTH)) return undefined
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}

function isDeeperThan(bytes: Uint8Array, limit: number): boolean {
  let depth = 0
  let isString = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (isString && byte === BACKSLASH) at++
    else if (byte === QUOTE) isString = !isString
    else if (isString) continue
    else if (byte === BRACE || byte === BRACKET) {
      if (++depth > limit) return true
    } else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) depth--
  }
  return false
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACKET = 0x5b
const CLOSING_BRACKET = 0x5d
const BRACE = 0x7b
const CLOSING_BRACE = 0x7d

/** A value of unknown size and depth in the words of an error message. */
export function describeJson(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value)
  if (Array.isArray(value)) return 'an array'
  return isJsonObject(value) ? 'an object' : String(value)
}

/** The bytes under which we store JSON that we make ourselves: keys in the order given, no spaces. */
export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8')
}
