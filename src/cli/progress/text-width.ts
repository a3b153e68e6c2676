const ZERO_WIDTH = /\p{Mn}|\p{Me}|\p{Cf}/u
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u

/** Columns that a text takes on a terminal. */
export function textWidth(text: string): number {
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

/** The text cut to at most `columns`, with `…` where something is left out; a tab, whose width depends on its place, is a space. */
export function fitText(text: string, columns: number): string {
  const flat = text.replaceAll('\t', ' ')
  if (textWidth(flat) <= columns) return flat
  let width = 0
  let kept = ''
  for (const character of flat) {
    width += characterWidth(character)
    if (width > columns - 1) break
    kept += character
  }
  return columns < 1 ? '' : `${kept}…`
}

function characterWidth(character: string): number {
  if (character < '\u0300') return 1
  if (ZERO_WIDTH.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}
