/**
 * Text of unknown origin made safe for a terminal: control bytes (escape sequences, carriage returns, C1 controls, text
 * direction marks) become visible. Tabs and ends of lines stay.
 */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is replaced
    /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    control => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The same on one line, where another line would be taken for our own words. */
export function printableLine(text: string): string {
  return printable(text.replace(/[\n\t]/g, ' '))
}
