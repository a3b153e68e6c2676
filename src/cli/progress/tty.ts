/**
 * A picture of the build that is drawn again in place:
 * ```
 * Building 3.2s (2/4)
 *  ✔ [1/4] FROM debian:bookworm-slim                            0.0s
 *  ✔ [2/4] RUN apt-get update                                 CACHED
 *  ▸ [3/4] RUN make                                             3.1s
 *    │ cc main.c
 * ```
 * Each frame is one write: up to the first line, every line with "erase to its end", then "erase below".
 */
import type { ProgressEvent } from '../../builder/solve/progress.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Terminal } from '../terminal.ts'
import { formatSeconds } from '../text/format.ts'
import { printableLine } from '../text/printable.ts'
import { OutputLines } from './output-lines.ts'
import type { ProgressRenderer } from './renderer.ts'
import { fitText, textWidth } from './text-width.ts'

const FRAME_MS = 100
/** Lines of a running step's output that are shown. */
const TAIL = 6
/** Lines kept of each step, to show when it fails. */
const KEPT = 40

type State = 'running' | 'done' | 'cached' | 'failed' | 'canceled'

interface Step {
  readonly name: string
  readonly startedAt: number
  endedAt?: number
  state: State
  status: string
  readonly tail: string[]
  /** Lines that are not in `tail` any more. */
  dropped: number
  readonly lines: { readonly stdout: OutputLines; readonly stderr: OutputLines }
}

const MARKS: Readonly<Record<State, string>> = {
  running: '▸',
  done: '✔',
  cached: '✔',
  failed: '✖',
  canceled: '·',
}

export function createTtyProgress(terminal: Pick<Terminal, 'stderr' | 'monotonicMs'>): ProgressRenderer {
  const out = terminal.stderr
  const beganAt = terminal.monotonicMs()
  const steps = new Map<Digest, Step>()
  const warnings: string[] = []
  let drawn: readonly string[] = []

  const draw = (final: boolean): void => {
    const columns = Math.max(20, out.columns ?? 80)
    const lines = frame(
      [...steps.values()],
      terminal.monotonicMs(),
      beganAt,
      columns,
      final ? undefined : (out.rows ?? 24),
    )
    // A narrower terminal has wrapped what was drawn before: count the rows as they are now.
    const up = drawn.reduce((rows, line) => rows + Math.max(1, Math.ceil(textWidth(line) / columns)), 0)
    out.write(`${up === 0 ? '' : `\x1b[${up}F`}${lines.map(line => `${line}\x1b[K\n`).join('')}\x1b[J`)
    drawn = final ? [] : lines
  }
  const timer = setInterval(() => draw(false), FRAME_MS)
  timer.unref()

  return {
    sink(event) {
      if (event.kind === 'warning') warnings.push(event.text)
      else record(steps, event)
    },
    finish() {
      clearInterval(timer)
      if (steps.size > 0) draw(true)
      for (const step of steps.values()) {
        if (step.state !== 'failed') continue
        if (step.dropped > 0) out.write(`   │ (${step.dropped} lines before these are in the log)\n`)
        out.write(step.tail.map(line => `   │ ${line}\n`).join(''))
      }
      for (const text of warnings) out.write(`warning: ${printableLine(text)}\n`)
    },
  }
}

function record(steps: Map<Digest, Step>, event: Exclude<ProgressEvent, { kind: 'warning' }>): void {
  if (event.kind === 'started' || event.kind === 'cached') {
    const known = steps.get(event.vertex)
    const step: Step = known ?? {
      name: printableLine(event.name),
      startedAt: event.at,
      state: 'running',
      status: '',
      tail: [],
      dropped: 0,
      lines: { stdout: new OutputLines(), stderr: new OutputLines() },
    }
    if (event.kind === 'cached') end(step, 'cached', event.at)
    steps.set(event.vertex, step)
    return
  }
  const step = steps.get(event.vertex)
  if (step === undefined) return
  if (event.kind === 'output') remember(step, step.lines[event.stream].push(event.chunk))
  else if (event.kind === 'status') step.status = printableLine(event.text)
  else end(step, event.kind, event.at)
}

function end(step: Step, state: State, at: number): void {
  remember(step, [...step.lines.stdout.end(), ...step.lines.stderr.end()])
  step.state = state
  step.endedAt = at
}

function remember(step: Step, lines: readonly string[]): void {
  const before = step.tail.length + lines.length
  step.tail.push(...lines.slice(-KEPT))
  step.tail.splice(0, step.tail.length - KEPT)
  step.dropped += before - step.tail.length
}

/** @param rows of the terminal; undefined draws every step and no output */
function frame(
  steps: readonly Step[],
  now: number,
  beganAt: number,
  columns: number,
  rows: number | undefined,
): readonly string[] {
  const ended = steps.filter(step => step.state !== 'running').length
  const header = fitText(
    `Building ${formatSeconds(now - beganAt, 1)}s (${ended}/${steps.length})`,
    columns - 1,
  )
  const blocks = steps.map(step => [
    stepLine(step, now, columns),
    ...(rows === undefined ? [] : tailLines(step, columns)),
  ])
  const body = blocks.flat()
  // What does not fit scrolls out at the top: the newest steps are at the bottom.
  return [header, ...(rows === undefined ? body : body.slice(-Math.max(1, rows - 2)))]
}

function stepLine(step: Step, now: number, columns: number): string {
  const time =
    step.state === 'cached'
      ? 'CACHED'
      : step.state === 'canceled'
        ? 'CANCELED'
        : `${formatSeconds((step.endedAt ?? now) - step.startedAt, 1)}s`
  const status = step.state === 'running' && step.status !== '' ? `  ${step.status}` : ''
  const room = columns - 1 - time.length - 4
  const text = fitText(`${step.name}${status}`, room)
  return ` ${MARKS[step.state]} ${text}${' '.repeat(room - textWidth(text))} ${time}`
}

function tailLines(step: Step, columns: number): readonly string[] {
  if (step.state !== 'running') return []
  return step.tail.slice(-TAIL).map(line => fitText(`   │ ${line}`, columns - 1))
}
