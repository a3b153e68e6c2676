import type { ProgressEvent } from '../../builder/solve/progress.ts'
import { describeRule, ruleURL } from '../build/lint-rules.ts'
import type { Terminal } from '../terminal.ts'
import { drained } from './drained.ts'
import type { ProgressRenderer } from './renderer.ts'

const STREAM_NUMBERS = { stdout: 1, stderr: 2 } as const

/** One JSON object per line with the fields of BuildKit's `rawjson`: `vertexes`, `logs`, `statuses`, `warnings`. */
export function createRawJsonProgress(
  terminal: Pick<Terminal, 'stderr' | 'now' | 'monotonicMs'>,
): ProgressRenderer {
  const epoch = terminal.now() - terminal.monotonicMs()
  const time = (at: number): string => new Date(epoch + at).toISOString()
  const steps = new Map<string, { digest: string; name: string; started: string }>()
  const write = (record: object): void => {
    // Written otherwise, or GitHub's runner would obey what it finds in the line, and our guard against that break it.
    terminal.stderr.write(`${JSON.stringify(record).replaceAll('##[', '#\\u0023[')}\n`)
  }

  const sink = (event: ProgressEvent): void | Promise<void> => {
    if (event.kind === 'warning') {
      write({ warnings: [warningRecord(event)] })
      return
    }
    const digest = event.vertex
    if (event.kind === 'output') {
      const data = Buffer.from(event.chunk).toString('base64')
      write({
        logs: [{ vertex: digest, stream: STREAM_NUMBERS[event.stream], data, timestamp: time(event.at) }],
      })
      return drained(terminal.stderr)
    }
    if (event.kind === 'status') {
      const at = time(event.at)
      write({ statuses: [{ id: event.text, vertex: digest, current: 0, timestamp: at, started: at }] })
      return
    }
    if (event.kind === 'started' || event.kind === 'cached') {
      const step = steps.get(digest) ?? { digest, name: event.name, started: time(event.at) }
      steps.set(digest, step)
      write({
        vertexes: [event.kind === 'started' ? step : { ...step, completed: time(event.at), cached: true }],
      })
      return
    }
    const step = steps.get(digest) ?? { digest }
    const error =
      event.kind === 'failed'
        ? { error: event.message }
        : event.kind === 'canceled'
          ? { error: 'canceled' }
          : {}
    write({ vertexes: [{ ...step, completed: time(event.at), ...error }] })
  }
  return { sink, finish: () => undefined }
}

function warningRecord({
  text,
  rule,
  span,
}: Extract<ProgressEvent, { kind: 'warning' }>): Readonly<Record<string, unknown>> {
  const short = `${rule === undefined ? '' : `${rule}: `}${text}${span === undefined ? '' : ` (line ${span.startLine})`}`
  return {
    level: 1,
    short: base64(short),
    ...(rule !== undefined && { detail: [base64(describeRule(rule))], url: ruleURL(rule) }),
    ...(span !== undefined && {
      sourceInfo: {
        filename: span.source.name,
        data: base64(span.source.text),
        language: 'Dockerfile',
      },
      range: [{ start: { line: span.startLine }, end: { line: span.endLine } }],
    }),
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
