/**
 * Text of unknown origin made safe for a terminal: control bytes (escape sequences, carriage returns, C1 controls, text
 * direction overrides) become visible, tabs become a space.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is replaced
  return text.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, control => {
    if (control === '\t') return ' '
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
