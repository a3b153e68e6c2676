import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { textWidth } from '../../../../src/cli/progress/text-width.ts'
import { createTtyProgress } from '../../../../src/cli/progress/tty.ts'
import { fakeTerminal } from '../fake-terminal.ts'
import { stepEvents } from './step-events.ts'

/** A terminal whose frames are drawn when the test says so. */
function watch(t: TestContext, size: { columns: number; rows: number } = { columns: 40, rows: 24 }) {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const terminal = fakeTerminal()
  Object.assign(terminal.stderr, { isTTY: true, ...size })
  const progress = createTtyProgress(terminal)
  const raw = (at: number): string => {
    terminal.time = at
    t.mock.timers.tick(100)
    return terminal.stderr.take()
  }
  return { terminal, progress, raw, frame: (at: number): string => stripVTControlCharacters(raw(at)) }
}

const from = stepEvents('[1/3] FROM app')
const run = stepEvents('[2/3] RUN make')
const copy = stepEvents('[3/3] COPY a b')

describe('tty progress', () => {
  it('draws a line for each step, with its state and time, and the tail of what runs', t => {
    const { progress, frame } = watch(t)
    progress.sink(from.cached(0))
    progress.sink(run.started(0))
    progress.sink(run.output(100, Array.from({ length: 9 }, (_, index) => `line ${index}\n`).join('')))
    assert.equal(
      frame(3200),
      `Building 3.2s (1/2)
 ✔ [1/3] FROM app                CACHED
 ▸ [2/3] RUN make                  3.2s
   │ line 3
   │ line 4
   │ line 5
   │ line 6
   │ line 7
   │ line 8
`,
    )
    progress.sink(run.done(4000))
    progress.sink(copy.started(4000))
    progress.sink(copy.status(4000, '5 MB'))
    assert.equal(
      frame(4100),
      `Building 4.1s (2/3)
 ✔ [1/3] FROM app                CACHED
 ✔ [2/3] RUN make                  4.0s
 ▸ [3/3] COPY a b  5 MB            0.1s
`,
    )
  })

  it('draws over the frame before, as many rows up as it takes now', t => {
    const { progress, raw, terminal } = watch(t)
    progress.sink(run.started(0))
    assert.ok(!raw(100).startsWith('\x1b['), 'there is nothing to go up over')
    assert.ok(raw(200).startsWith('\x1b[2F'))
    // A line of 39 columns takes two rows of a terminal that has become 30 wide, the header one.
    terminal.stderr.columns = 30
    assert.ok(raw(300).startsWith('\x1b[3F'))
    assert.ok(raw(400).startsWith('\x1b[2F'))
  })

  it('never draws more than the terminal shows: the newest steps, in lines that do not wrap', t => {
    const { progress, frame } = watch(t, { columns: 30, rows: 8 })
    for (let index = 1; index <= 50; index++) {
      const step = stepEvents(`[${index}/50] RUN 日本語 ${'long '.repeat(50)}`)
      progress.sink(step.started(0))
      progress.sink(step.output(0, `${'x'.repeat(5000)}\n`))
    }
    const lines = frame(100).trimEnd().split('\n')
    assert.equal(lines.length, 7)
    assert.match(lines[0] ?? '', /^Building 0\.1s \(0\/50\)$/)
    assert.match(lines.at(-2) ?? '', /\[50\/50\]/)
    for (const line of lines) assert.ok(textWidth(line) < 30, line)
  })

  it('draws every step and all kept output of the failed one at the end, then nothing', t => {
    const { progress, terminal } = watch(t, { columns: 40, rows: 4 })
    progress.sink(from.cached(0))
    progress.sink(run.started(0))
    progress.sink(copy.started(0))
    progress.sink(run.output(1, Array.from({ length: 60 }, (_, index) => `line ${index}\n`).join('')))
    progress.sink(run.output(1, 'the last words'))
    progress.sink(run.failed(2000, 'exit code 1'))
    progress.sink(copy.canceled(2000))
    progress.sink({ kind: 'warning', text: 'odd\x1b[2J' })
    terminal.time = 2000
    progress.finish()
    const text = stripVTControlCharacters(terminal.stderr.take())
    assert.ok(
      text.startsWith(`Building 2.0s (3/3)
 ✔ [1/3] FROM app                CACHED
 ✖ [2/3] RUN make                  2.0s
 · [3/3] COPY a b              CANCELED
   │ (21 lines before these are in the log)
   │ line 21
`),
      text,
    )
    assert.ok(text.endsWith('   │ line 59\n   │ the last words\nwarning: odd\\u001b[2J\n'), text)
    t.mock.timers.tick(1000)
    assert.equal(terminal.stderr.text, '')
  })

  it('lets nothing of a step reach the terminal as control', t => {
    const { progress, raw } = watch(t)
    const hostile = stepEvents('RUN \x1b]0;title\x07\n\x9b2J')
    progress.sink(hostile.started(0))
    progress.sink(hostile.status(0, '\x1b[1A\nx'))
    progress.sink(hostile.output(0, '\x1b[10A\x1b[Jgone\r\x1b]52;c;AAAA\x07\x08\n'))
    const ours = raw(100).replaceAll('\x1b[K\n', '\n').replace('\x1b[J', '')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what must not be there
    assert.doesNotMatch(ours, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
    assert.equal(ours.trimEnd().split('\n').length, 3)
  })

  it('says nothing of a build without steps', t => {
    const { progress, terminal } = watch(t)
    progress.finish()
    assert.equal(terminal.stderr.text, '')
  })
})
