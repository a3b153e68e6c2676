import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ProgressEvent } from '../../../../src/builder/solve/progress.ts'
import { createWorkflowLog } from '../../../../src/cli/ci/workflow-log.ts'
import { createProgress, type ProgressMode } from '../../../../src/cli/progress/create-progress.ts'
import type { Terminal } from '../../../../src/cli/terminal.ts'
import { fakeTerminal } from '../fake-terminal.ts'
import { stepEvents } from './step-events.ts'

function shown(mode: ProgressMode, events: readonly ProgressEvent[], env: Terminal['env'] = {}): string {
  const terminal = fakeTerminal({ env, now: () => 1_700_000_000_000 })
  const isJob = env.GITHUB_ACTIONS === 'true'
  const workflow = isJob ? { workflow: createWorkflowLog(terminal.stderr, 'token') } : {}
  const progress = createProgress(mode, { ...terminal, ...workflow })
  for (const event of events) progress.sink(event)
  progress.finish()
  return terminal.stderr.text
}

const from = stepEvents('[1/3] FROM app')
const run = stepEvents('[2/3] RUN make')
const copy = stepEvents('[3/3] COPY a b')

describe('grouped progress', () => {
  it('folds the output of a step, and shows in one line what printed nothing', () => {
    assert.equal(
      shown('github', [
        from.started(0),
        from.done(40),
        run.started(1000),
        run.output(1412, 'cc main.c\ncc '),
        run.output(1500, 'util.c\n'),
        run.done(2300),
        copy.cached(2300),
      ]),
      `#1 [1/3] FROM app DONE 0.0s
::group::#2 [2/3] RUN make
0.412 cc main.c
0.500 cc util.c
::endgroup::
#2 [2/3] RUN make DONE 1.3s
#3 [3/3] COPY a b CACHED

`,
    )
  })

  it('shows steps that run at the same time one after the other, each whole', () => {
    assert.equal(
      shown('github', [
        run.started(0),
        copy.started(0),
        from.started(0),
        run.output(100, 'a\n'),
        copy.output(200, 'x\n'),
        from.status(210, '5 MB'),
        run.output(300, 'b\n'),
        copy.output(400, 'y\n'),
        copy.done(500),
        run.done(600),
        from.status(700, '9 MB'),
        from.done(800),
      ]),
      `::group::#1 [2/3] RUN make
0.100 a
0.300 b
::endgroup::
#1 [2/3] RUN make DONE 0.6s
::group::#2 [3/3] COPY a b
0.200 x
0.400 y
::endgroup::
#2 [3/3] COPY a b DONE 0.5s
::group::#3 [1/3] FROM app
0.210 5 MB
0.700 9 MB
::endgroup::
#3 [1/3] FROM app DONE 0.8s

`,
    )
  })

  it('does not keep without end what a step prints that waits for its turn', () => {
    const line = `${'x'.repeat(1000)}\n`
    const text = shown('github', [
      run.started(0),
      copy.started(0),
      run.output(1, 'first\n'),
      ...Array.from({ length: 300 }, () => copy.output(2, line)),
      run.output(3, 'second\n'),
      run.done(4),
      copy.done(5),
    ])
    const groups = text.split('\n').filter(row => row.startsWith('::group::'))
    assert.deepEqual(groups, [
      '::group::#1 [2/3] RUN make',
      '::group::#2 [3/3] COPY a b',
      '::group::#1 [2/3] RUN make (continued)',
    ])
    assert.equal(text.split(line.trim()).length - 1, 300)
  })

  it('repeats below what a failed step printed last, where nothing folds it', () => {
    const text = shown('github', [run.started(0), run.output(1, 'why\n'), run.failed(2, 'exit code: 1')])
    assert.ok(
      text.endsWith(
        '::endgroup::\n#1 [2/3] RUN make ERROR: exit code: 1\n\n#1 [2/3] RUN make printed last:\n  | why\n\n',
      ),
      text,
    )
  })

  it('closes the group of a build that ends in its middle', () => {
    const text = shown('github', [
      run.started(0),
      copy.started(0),
      run.output(1, 'a\n'),
      copy.output(1, 'b\n'),
    ])
    assert.equal(
      text,
      '::group::#1 [2/3] RUN make\n0.001 a\n::endgroup::\n::group::#2 [3/3] COPY a b\n0.001 b\n::endgroup::\n\n',
    )
  })

  it('lets what a step prints be no command of the job', () => {
    const text = shown('github', [
      run.started(0),
      run.output(1, '::error::x\n ##[add-path]/x\n'),
      run.done(2),
    ])
    assert.match(text, /^0\.001 ::error::x$/m)
    assert.match(text, /^::stop-commands::([-\w]+)\n0\.001 {2}##\[add-path\]\/x\n::\1::$/m)
  })

  it('marks sections as GitLab wants them', () => {
    const text = shown('auto', [run.started(0), run.output(1, 'a\n'), run.done(2), copy.cached(3)], {
      GITLAB_CI: 'true',
    })
    assert.match(
      text,
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the marks are made of them
      /^\x1b\[0Ksection_start:1700000000:(slipway_\w+_1)\[collapsed=true\]\r\x1b\[0K#1 \[2\/3\] RUN make\n0\.001 a\n\x1b\[0Ksection_end:1700000000:\1\r\x1b\[0K\n#1 \[2\/3\] RUN make DONE 0\.0s\n#2 /,
    )
  })

  it('is what is chosen in a job, and nowhere else', () => {
    const events = [
      run.started(0),
      run.output(1, 'a\n'),
      { kind: 'warning', text: 'w' } as const,
      run.done(2),
    ]
    const job = shown('auto', events, { GITHUB_ACTIONS: 'true' })
    assert.match(job, /^::group::/)
    assert.match(job, /^::warning::w$/m)
    assert.doesNotMatch(shown('plain', events, { GITHUB_ACTIONS: 'true' }), /::/)
    assert.doesNotMatch(shown('auto', events), /::/)
  })
})
