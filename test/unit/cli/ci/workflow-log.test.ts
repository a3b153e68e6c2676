import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createWorkflowLog, withoutCommands } from '../../../../src/cli/ci/workflow-log.ts'
import { Screen } from '../fake-terminal.ts'

/** What GitHub's runner does with a log: the commands that it obeys, by its two grammars. */
function obeyed(log: string): readonly string[] {
  const found: string[] = []
  let token: string | undefined
  for (const line of log.split('\n')) {
    if (token !== undefined) {
      if (line.trim() === `::${token}::`) token = undefined
      continue
    }
    const [, name, data] =
      /^\s*::([^: ]+)[^:]*::(.*)$/.exec(line) ?? /##\[([^\] ]+)[^\]]*\](.*)/.exec(line) ?? []
    if (name === 'stop-commands') token = data
    else if (name !== undefined) found.push(name)
  }
  return found
}

const HOSTILE = [
  '::set-output name=x::y',
  '   ::add-mask::a',
  '#2 0.412 ##[error]x',
  'a ##[add-path]/evil',
  '::endgroup::\n::error::x',
]

describe('createWorkflowLog()', () => {
  it('lets no command through that is in what is written, and the own ones', () => {
    const screen = new Screen()
    const log = createWorkflowLog(screen, 'secret-token')
    log.command('group', '#1 RUN echo "##[error]"')
    for (const text of HOSTILE) {
      assert.notDeepEqual(obeyed(text), [], text)
      log.stream.write(`${text}\n`)
      log.stream.write(text)
    }
    log.command('endgroup')
    assert.deepEqual(obeyed(screen.text), ['group', 'endgroup'])
    for (const text of HOSTILE) assert.deepEqual(obeyed(log.shown(text)), [])
    for (const text of HOSTILE) assert.ok(screen.text.includes(text))
  })

  it('leaves other text as it is', () => {
    const screen = new Screen()
    const { stream } = createWorkflowLog(screen, 't')
    stream.write('std::vector<int> a[1]; #1 [2/3] RUN a\n## title\n')
    stream.write('no end')
    assert.equal(screen.text, 'std::vector<int> a[1]; #1 [2/3] RUN a\n## title\nno end')
  })

  it('is otherwise the stream that it writes to', async () => {
    const screen = new Screen()
    screen.columns = 123
    const { stream } = createWorkflowLog(screen, 't')
    assert.equal(stream.columns, 123)
    assert.equal(stream.writableNeedDrain, false)
    const closed = new Promise(resolve => stream.once('close', resolve))
    stream.destroy()
    await closed
  })

  it('escapes messages and properties, and leaves out what is not known', () => {
    const screen = new Screen()
    const log = createWorkflowLog(screen, 't')
    log.command('error', '100% of\na: b,c\r', { file: 'a:b,c%\n.txt', line: 3, title: undefined })
    assert.equal(screen.text, '::error file=a%3Ab%2Cc%25%0A.txt,line=3::100%25 of%0Aa: b,c%0D\n')
  })
})

describe('withoutCommands()', () => {
  it('ends what has no end of line, so that its own command is one', () => {
    assert.equal(withoutCommands('::debug::x', 'T'), '::stop-commands::T\n::debug::x\n::T::\n')
  })
})
