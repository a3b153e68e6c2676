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

/** Undefined for what is not JSON in valid UTF-8. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}

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
