import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OutputLines } from '../../../../src/cli/progress/output-lines.ts'

function linesOf(...chunks: (string | Uint8Array)[]): readonly string[] {
  const lines = new OutputLines()
  return [...chunks.flatMap(chunk => lines.push(Buffer.from(chunk))), ...lines.end()]
}

describe('OutputLines', () => {
  const rows: readonly (readonly [string, readonly (string | Uint8Array)[], readonly string[]])[] = [
    ['puts lines together from pieces', ['a', 'b\nc', '\n'], ['ab', 'c']],
    ['shows a last line that has no end', ['a\nb'], ['a', 'b']],
    ['keeps empty lines', ['a\n\nb\n'], ['a', '', 'b']],
    [
      'puts characters together from bytes',
      [
        [0xe6, 0x97],
        [0xa5, 0x0a],
      ].map(bytes => Buffer.from(bytes)),
      ['日'],
    ],
    ['shows broken UTF-8', [Buffer.from([0xff, 0x0a])], ['\ufffd']],
    ['takes CRLF as the end of a line', ['a\r\nb\r\n'], ['a', 'b']],
    ['shows the last state of a progress bar', ['10%\r50%\r100%\n'], ['100%']],
    ['takes out colours and titles', ['\x1b[31mred\x1b[0m \x1b]0;title\x07x\n'], ['red x']],
    ['shows other controls', ['\x07bell \x08back\x7f \u202e\n'], ['\\u0007bell \\u0008back\\u007f \\u202e']],
    ['leaves no escape of a sequence that is cut', ['a\x1b'], ['a\\u001b']],
  ]
  for (const [name, chunks, lines] of rows) {
    it(name, () => assert.deepEqual(linesOf(...chunks), lines))
  }

  it('cuts a line that never ends, so that it does not fill the memory', () => {
    const lines = new OutputLines()
    const got: string[] = []
    for (let index = 0; index < 100; index++) got.push(...lines.push(Buffer.alloc(64 * 1024, 'x')))
    got.push(...lines.end())
    assert.ok(got.length >= 100)
    assert.ok(got.every(line => line.length <= 16 * 1024))
  })

  it('lets no escape through, wherever a line is cut', () => {
    const hostile = Buffer.from('\x1b[2J\x1b]0;x\x07\x9b1m'.repeat(5000))
    for (const line of linesOf(hostile.subarray(0, 40_000), hostile.subarray(40_000))) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what must not be there
      assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f]/)
    }
  })
})
