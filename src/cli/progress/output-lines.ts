import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'
import { printable } from '../text/printable.ts'

/** A line without an end is cut here, so that hostile output cannot fill the memory. In characters. */
const MAX_LINE = 16 * 1024

/**
 * Cuts a step's output into lines that are safe to show: escape sequences are taken out, other controls made visible.
 * A carriage return starts the line anew, as progress bars mean it.
 */
export class OutputLines {
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''

  push(chunk: Uint8Array): readonly string[] {
    const pieces = (this.#rest + this.#decoder.write(chunk)).split('\n')
    this.#rest = pieces.pop() ?? ''
    if (this.#rest.length > MAX_LINE) {
      pieces.push(this.#rest)
      this.#rest = ''
    }
    return pieces.map(clean)
  }

  /** The line that had no end, if any. */
  end(): readonly string[] {
    const rest = this.#rest + this.#decoder.end()
    this.#rest = ''
    return rest === '' ? [] : [clean(rest)]
  }
}

function clean(line: string): string {
  const shown = line.replace(/\r+$/, '').split('\r').at(-1) ?? ''
  return printable(stripVTControlCharacters(shown)).slice(0, MAX_LINE)
}
