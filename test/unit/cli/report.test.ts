import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BuildError } from '../../../src/builder/errors.ts'
import { CliError } from '../../../src/cli/errors.ts'
import { exitCodeOf } from '../../../src/cli/exit-codes.ts'
import { formatError, formatFrame, reportError } from '../../../src/cli/report.ts'
import { describeSystemError, unreadable } from '../../../src/cli/system-error.ts'
import { LinuxError } from '../../../src/linux/errors.ts'
import { OciError } from '../../../src/oci/errors.ts'
import { RemoteError } from '../../../src/remote/errors.ts'
import { StoreError } from '../../../src/store/errors.ts'
import { fakeTerminal } from './fake-terminal.ts'

const THREE = { name: 'Dockerfile', text: 'FROM a\nRUN false\nCMD x\n' }

function systemError(code: string, syscall: string, path?: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: as the system says it`), {
    code,
    errno: -2,
    syscall,
    ...(path !== undefined && { path }),
  })
}

describe('formatFrame()', () => {
  const frames: readonly (readonly [string, number, number, string])[] = [
    ['a line in the middle', 2, 2, 'Dockerfile:2\n  1 | FROM a\n> 2 | RUN false\n  3 | CMD x'],
    ['the first line', 1, 1, 'Dockerfile:1\n> 1 | FROM a\n  2 | RUN false'],
    ['the last line, with nothing after it', 3, 3, 'Dockerfile:3\n  2 | RUN false\n> 3 | CMD x'],
    ['several lines', 1, 2, 'Dockerfile:1\n> 1 | FROM a\n> 2 | RUN false\n  3 | CMD x'],
  ]
  for (const [name, startLine, endLine, frame] of frames) {
    it(`draws ${name}`, () => {
      assert.equal(formatFrame({ source: THREE, startLine, endLine }), frame)
    })
  }

  it('aligns the numbers', () => {
    const source = { name: 'f', text: Array.from({ length: 12 }, (_, index) => `L${index + 1}`).join('\r\n') }
    assert.equal(formatFrame({ source, startLine: 9, endLine: 9 }), 'f:9\n   8 | L8\n>  9 | L9\n  10 | L10')
  })

  it('is bounded for an instruction of a thousand lines, and for a line without an end', () => {
    const source = { name: 'f', text: `a\n${'x\n'.repeat(1000)}` }
    assert.equal(formatFrame({ source, startLine: 2, endLine: 1000 }).split('\n').length, 21)
    const long = { name: 'f', text: 'y'.repeat(1_000_000) }
    assert.ok(formatFrame({ source: long, startLine: 1, endLine: 1 }).length < 500)
  })

  it('shows control bytes of the Dockerfile instead of sending them to the terminal', () => {
    const source = { name: 'a\x1b[2Jb', text: 'RUN \x1b]0;title\x07 \u202ereversed\r' }
    const frame = formatFrame({ source, startLine: 1, endLine: 1 })
    assert.equal(frame, 'a\\u001b[2Jb:1\n> 1 | RUN \\u001b]0;title\\u0007 \\u202ereversed\\u000d')
  })
})

describe('formatError()', () => {
  it('tells where all that a failed RUN printed lies', () => {
    const detail = { exitCode: 137, output: ['x'], log: '/s/logs/a/1-make.log\x1b' }
    const error = new BuildError('run-failed', 'Cannot run: exit code 137', { detail, hint: 'memory' })
    assert.equal(
      formatError(error),
      'error: Cannot run: exit code 137\nlog: /s/logs/a/1-make.log\\u001b\nhint: memory\n',
    )
    assert.equal(formatError(new BuildError('copy-conflict', 'No', { detail })), 'error: No\n')
  })

  it('draws the frame, the message and the hint', () => {
    const error = new BuildError('dockerfile-invalid', 'Cannot parse: no', {
      hint: 'say yes',
      span: { source: THREE, startLine: 3, endLine: 3 },
    })
    assert.equal(
      formatError(error),
      'Dockerfile:3\n  2 | RUN false\n> 3 | CMD x\nerror: Cannot parse: no\nhint: say yes\n',
    )
  })

  it('sets in further lines, so that foreign text cannot pass for our own', () => {
    const shown = formatError(
      new RemoteError('denied', 'Cannot push: no\nerror: all is lost\n', { hint: 'a\nhint: b' }),
    )
    assert.equal(shown, 'error: Cannot push: no\n  error: all is lost\nhint: a hint: b\n')
  })

  it('tells what the system refuses in words', () => {
    assert.equal(
      formatError(systemError('EACCES', 'open', '/x')),
      'error: Cannot open /x: permission denied\n',
    )
    assert.equal(formatError(systemError('ENOSPC', 'write')), 'error: ENOSPC: as the system says it\n')
  })

  it('calls anything else a bug, without a stack trace', () => {
    const shown = formatError(new TypeError('x is not a function'))
    assert.match(shown, /^error: x is not a function\nThis is a bug in slipway\./)
    assert.doesNotMatch(shown, /\n\s+at /)
    assert.match(formatError('a string'), /^error: a string\n/)
  })
})

describe('reportError()', () => {
  const cause = new Error('the cause')
  const error = new StoreError('store-full', 'Cannot write: full', { cause })

  it('shows stacks only to who asks for them', () => {
    const quiet = fakeTerminal()
    assert.equal(reportError(error, quiet), 1)
    assert.equal(quiet.stderr.text, 'error: Cannot write: full\n')
    const asked = fakeTerminal({ env: { SLIPWAY_DEBUG: '1' } })
    reportError(error, asked)
    assert.match(asked.stderr.text, /\n\s+at [\s\S]*caused by: Error: the cause\n\s+at /)
  })

  it('says nothing when nobody reads any more', () => {
    const terminal = fakeTerminal()
    assert.equal(reportError(new CliError('output-closed', 'closed'), terminal), 1)
    assert.equal(terminal.stderr.text, '')
  })
})

describe('exitCodeOf()', () => {
  const codes: readonly (readonly [string, unknown, number])[] = [
    ['a mistake in the call', new CliError('usage', ''), 2],
    ['a wrong configuration', new CliError('config-invalid-file', ''), 2],
    ['a wrong name', new OciError('reference-invalid', ''), 2],
    ['an invalid Dockerfile', new BuildError('dockerfile-invalid', ''), 2],
    ['a failed step', new BuildError('run-failed', '', { exitCode: 42 }), 1],
    ['an unreachable registry', new RemoteError('registry-unreachable', ''), 1],
    ['a full store', new StoreError('store-full', ''), 1],
    ['an unknown image', new CliError('image-unknown', ''), 1],
    ['a refusal of the system', systemError('EACCES', 'open', '/x'), 1],
    ['a refused system call of ours', new LinuxError('mount', 1, '/x'), 1],
    ['a call that no caller may make', systemError('EBADF', 'read'), 70],
    ['an interruption', new CliError('interrupted', ''), 130],
    ['a request to end', new CliError('terminated', ''), 143],
    ['a terminal that was closed', new CliError('hung-up', ''), 129],
    ['a bug', new TypeError('x'), 70],
    ['something that is no error', undefined, 70],
  ]
  for (const [name, error, code] of codes) {
    it(`is ${code} for ${name}`, () => assert.equal(exitCodeOf(error), code))
  }
})

describe('unreadable()', () => {
  it('names the file, which the error of a read does not', () => {
    const error = unreadable(systemError('EISDIR', 'read'), '/x')
    assert.ok(error instanceof CliError)
    assert.equal(error.message, 'Cannot read /x: it is a directory')
  })

  it('hands back what it does not know', () => {
    const bug = new TypeError('x')
    assert.equal(unreadable(bug, '/x'), bug)
    const rare = systemError('EXDEV', 'read', '/x')
    assert.equal(unreadable(rare, '/x'), rare)
    assert.equal(describeSystemError(rare), rare.message)
  })
})
