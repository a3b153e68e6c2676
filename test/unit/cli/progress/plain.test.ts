import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import type { ProgressEvent } from '../../../../src/builder/solve/progress.ts'
import { createPlainProgress } from '../../../../src/cli/progress/plain.ts'
import { fakeTerminal } from '../fake-terminal.ts'
import { stepEvents } from './step-events.ts'

function plain(...events: readonly ProgressEvent[]): string {
  const terminal = fakeTerminal()
  const progress = createPlainProgress(terminal)
  for (const event of events) progress.sink(event)
  progress.finish()
  return terminal.stderr.text
}

const from = stepEvents('[1/3] FROM app')
const run = stepEvents('[2/3] RUN make')
const copy = stepEvents('[3/3] COPY a b')

describe('plain progress', () => {
  it('holds a step up while its reader is slow, until there is none', async () => {
    const stderr = new PassThrough({ highWaterMark: 10 })
    const { sink } = createPlainProgress({ stderr })
    sink(run.started(0))
    stderr.resume()
    await sink(run.output(0, 'drained\n'))
    stderr.pause()
    const held = sink(run.output(0, 'unread\n'))
    assert.ok(held instanceof Promise)
    stderr.destroy()
    await held
    assert.equal(sink(run.output(0, 'to nobody\n')), undefined)
  })

  it('numbers steps and shows all of their output with its time', () => {
    assert.equal(
      plain(
        from.started(0),
        from.done(40),
        run.started(1000),
        run.output(1412, 'cc main.c\ncc '),
        run.output(1500, 'util.c\n'),
        run.output(1600, 'warning', 'stderr'),
        run.done(2300),
        copy.cached(2300),
      ),
      `#1 [1/3] FROM app
#1 DONE 0.0s

#2 [2/3] RUN make
#2 0.412 cc main.c
#2 0.500 cc util.c
#2 1.300 warning
#2 DONE 1.3s

#3 [3/3] COPY a b
#3 CACHED

`,
    )
  })

  it('keeps interleaved steps apart', () => {
    assert.equal(
      plain(
        run.started(0),
        copy.started(0),
        run.output(100, 'a\n'),
        copy.status(200, '5 MB'),
        run.output(300, 'b\n'),
      ),
      `#1 [2/3] RUN make

#2 [3/3] COPY a b

#1 0.100 a

#2 5 MB

#1 0.300 b

`,
    )
  })

  it('ends failed and canceled steps', () => {
    assert.equal(
      plain(
        run.started(0),
        copy.started(0),
        run.output(1, 'no end'),
        run.failed(2000, 'exit code 1'),
        copy.canceled(2000),
      ),
      `#1 [2/3] RUN make

#2 [3/3] COPY a b

#1 2.000 no end
#1 ERROR: exit code 1

#2 CANCELED

#1 [2/3] RUN make printed last:
  | no end

`,
    )
  })

  it('repeats the last lines of a failed step, unless they are the last ones anyway', () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index}\n`).join('')
    const failed = plain(run.started(0), run.output(1, lines), run.failed(2, 'exit code 1'))
    assert.ok(failed.endsWith('#1 0.001 line 29\n#1 ERROR: exit code 1\n\n'), failed)
    const among = plain(
      run.started(0),
      copy.started(0),
      run.output(1, lines),
      run.failed(2, 'exit code 1'),
      copy.canceled(2),
    )
    const tail = Array.from({ length: 10 }, (_, index) => `  | line ${index + 20}\n`).join('')
    assert.ok(among.endsWith(`#2 CANCELED\n\n#1 [2/3] RUN make printed last:\n${tail}\n`), among)
  })

  it('keeps to one line each, whatever names, messages and warnings hold', () => {
    const hostile = stepEvents('RUN <<E\n#9 DONE\x1b[2J')
    const text = plain(hostile.started(0), hostile.status(0, 'a\nb'), hostile.failed(0, 'x\n#1 DONE'), {
      kind: 'warning',
      text: 'w\nerror: y',
    })
    assert.equal(text, '#1 RUN <<E #9 DONE\\u001b[2J\n#1 a b\n#1 ERROR: x #1 DONE\nwarning: w error: y\n\n')
  })

  it('says nothing of a build without steps, nor of steps it does not know', () => {
    assert.equal(plain(), '')
    assert.equal(plain(run.output(0, 'x\n'), run.done(1)), '')
  })
})
