import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BuildError } from '../../../../src/builder/errors.ts'
import { annotateWarnings } from '../../../../src/cli/ci/annotations.ts'
import { createWorkflowLog } from '../../../../src/cli/ci/workflow-log.ts'
import { reportError } from '../../../../src/cli/report.ts'
import { fakeTerminal } from '../fake-terminal.ts'

function job(env: Readonly<Record<string, string>> = {}) {
  const terminal = fakeTerminal({ workingDirectory: '/repo/app', env })
  return { ...terminal, workflow: createWorkflowLog(terminal.stderr, 't') }
}

function span(name: string) {
  return { source: { name, text: 'FROM scratch\nRUN false\n' }, startLine: 2, endLine: 2 }
}

describe('annotations of a GitHub job', () => {
  it('are at the line of an error, by its path in the repository', () => {
    const terminal = job({ GITHUB_WORKSPACE: '/repo' })
    reportError(new BuildError('run-failed', 'exit code: 1\nmore', { span: span('Dockerfile') }), terminal)
    assert.match(
      terminal.stderr.text,
      /^::error file=app\/Dockerfile,line=2,endLine=2,title=slipway build::exit code: 1 more\n/m,
    )
  })

  it('have no file where it is not of the repository', () => {
    for (const name of ['-', 'https://example.com/Dockerfile', '/elsewhere/Dockerfile', '../../Dockerfile']) {
      const terminal = job()
      annotateWarnings([{ text: 'w', rule: 'StageNameCasing', span: span(name) }], terminal)
      assert.equal(terminal.stderr.text, '::warning title=StageNameCasing::w\n')
    }
  })

  it('are not made of other errors, nor elsewhere', () => {
    const terminal = job()
    reportError(new BuildError('context-invalid', 'x'), terminal)
    assert.equal(terminal.stderr.text, 'error: x\n')
    const elsewhere = fakeTerminal()
    annotateWarnings([{ text: 'w', span: span('Dockerfile') }], elsewhere)
    assert.equal(elsewhere.stderr.text, '')
  })
})
