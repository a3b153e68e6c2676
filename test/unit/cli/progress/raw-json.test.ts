import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRawJsonProgress } from '../../../../src/cli/progress/raw-json.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { fakeTerminal } from '../fake-terminal.ts'
import { stepEvents } from './step-events.ts'

describe('rawjson progress', () => {
  it("writes one object a line, with the fields of BuildKit's", () => {
    const terminal = fakeTerminal({ now: () => Date.parse('2026-01-01T00:00:00Z'), monotonicMs: () => 1000 })
    const { sink } = createRawJsonProgress(terminal)
    const run = stepEvents('RUN a')
    const copy = stepEvents('COPY b c')
    sink(run.started(1000))
    sink(run.output(1500, '\x1b[1mhi\n', 'stderr'))
    sink(run.status(1600, '5 MB'))
    sink(copy.cached(1700))
    sink(run.failed(2000, 'exit code 1'))
    sink({ kind: 'warning', text: 'w' })
    const digest = digestOf('RUN a')
    const other = digestOf('COPY b c')
    const started = '2026-01-01T00:00:00.000Z'
    const at = '2026-01-01T00:00:00.700Z'
    assert.deepEqual(
      terminal.stderr.text
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line)),
      [
        { vertexes: [{ digest, name: 'RUN a', started }] },
        {
          logs: [
            {
              vertex: digest,
              stream: 2,
              data: Buffer.from('\x1b[1mhi\n').toString('base64'),
              timestamp: '2026-01-01T00:00:00.500Z',
            },
          ],
        },
        {
          statuses: [
            {
              id: '5 MB',
              vertex: digest,
              current: 0,
              timestamp: '2026-01-01T00:00:00.600Z',
              started: '2026-01-01T00:00:00.600Z',
            },
          ],
        },
        { vertexes: [{ digest: other, name: 'COPY b c', started: at, completed: at, cached: true }] },
        {
          vertexes: [
            { digest, name: 'RUN a', started, completed: '2026-01-01T00:00:01.000Z', error: 'exit code 1' },
          ],
        },
        { warnings: [{ level: 1, short: Buffer.from('w').toString('base64') }] },
      ],
    )
  })
  it('tells of a lint rule and the place, as BuildKit does', () => {
    const terminal = fakeTerminal()
    const source = { name: 'Dockerfile', text: 'from scratch AS base\n' }
    const text = "'AS' and 'from' keywords' casing do not match"
    createRawJsonProgress(terminal).sink({
      kind: 'warning',
      rule: 'FromAsCasing',
      text,
      span: { source, startLine: 1, endLine: 1 },
    })
    const { detail, ...warning } = JSON.parse(terminal.stderr.text).warnings[0]
    assert.equal(detail.length, 1)
    assert.deepEqual(warning, {
      level: 1,
      short: Buffer.from(`FromAsCasing: ${text} (line 1)`).toString('base64'),
      url: 'https://docs.docker.com/go/dockerfile/rule/from-as-casing/',
      sourceInfo: {
        filename: 'Dockerfile',
        data: Buffer.from(source.text).toString('base64'),
        language: 'Dockerfile',
      },
      range: [{ start: { line: 1 }, end: { line: 1 } }],
    })
  })

  it('writes names so that a CI job finds no command in them', () => {
    const terminal = fakeTerminal()
    createRawJsonProgress(terminal).sink(stepEvents('RUN echo "##[error]x"').started(0))
    assert.doesNotMatch(terminal.stderr.text, /##\[/)
    assert.equal(JSON.parse(terminal.stderr.text).vertexes[0].name, 'RUN echo "##[error]x"')
  })
})
