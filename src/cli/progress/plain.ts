import type { ProgressEvent } from '../../builder/solve/progress.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Terminal } from '../terminal.ts'
import { formatSeconds } from '../text/format.ts'
import { printableLine } from '../text/printable.ts'
import { drained } from './drained.ts'
import { OutputLines } from './output-lines.ts'
import type { ProgressRenderer } from './renderer.ts'

/** Lines kept of each step, to show when it fails. */
const KEPT = 10

interface Step {
  readonly number: number
  readonly name: string
  readonly startedAt: number
  /** The end of what it printed. */
  readonly tail: string[]
  readonly lines: { readonly stdout: OutputLines; readonly stderr: OutputLines }
}

/**
 * Complete and in order, for logs: every line carries its step's number.
 * ```
 * #2 [2/5] RUN make
 * #2 0.412 cc main.c
 * #2 DONE 1.3s
 * ```
 * The last lines of a step that failed come again at the end, unless nothing has come after them.
 */
export function createPlainProgress(terminal: Pick<Terminal, 'stderr'>): ProgressRenderer {
  const steps = new Map<Digest, Step>()
  let last: number | undefined
  let failed: Step | undefined

  const write = (step: Step, text: string): void => {
    if (last !== undefined && last !== step.number) terminal.stderr.write('\n')
    last = step.number
    terminal.stderr.write(`#${step.number} ${text}\n`)
  }
  const begin = (event: Extract<ProgressEvent, { kind: 'started' | 'cached' }>): Step => {
    const known = steps.get(event.vertex)
    if (known !== undefined) return known
    const step = {
      number: steps.size + 1,
      name: printableLine(event.name),
      startedAt: event.at,
      tail: [],
      lines: { stdout: new OutputLines(), stderr: new OutputLines() },
    }
    steps.set(event.vertex, step)
    write(step, step.name)
    return step
  }
  const logged = (step: Step, at: number, lines: readonly string[]): void => {
    step.tail.push(...lines.slice(-KEPT))
    step.tail.splice(0, step.tail.length - KEPT)
    for (const line of lines) write(step, `${formatSeconds(at - step.startedAt, 3)} ${line}`)
  }
  const end = (step: Step, at: number, text: string): void => {
    logged(step, at, [...step.lines.stdout.end(), ...step.lines.stderr.end()])
    write(step, text)
  }

  const sink = (event: ProgressEvent): void | Promise<void> => {
    if (event.kind === 'warning') {
      terminal.stderr.write(`warning: ${printableLine(event.text)}\n`)
      return
    }
    if (event.kind === 'started') {
      begin(event)
      return
    }
    if (event.kind === 'cached') {
      end(begin(event), event.at, 'CACHED')
      return
    }
    const step = steps.get(event.vertex)
    if (step === undefined) return
    const took = `${formatSeconds(event.at - step.startedAt, 1)}s`
    if (event.kind === 'output') {
      logged(step, event.at, step.lines[event.stream].push(event.chunk))
      return drained(terminal.stderr)
    }
    if (event.kind === 'status') write(step, printableLine(event.text))
    else if (event.kind === 'done') end(step, event.at, `DONE ${took}`)
    else if (event.kind === 'canceled') end(step, event.at, 'CANCELED')
    else {
      failed = step
      end(step, event.at, `ERROR: ${printableLine(event.message)}`)
    }
  }
  return {
    sink,
    finish() {
      if (last === undefined) return
      terminal.stderr.write('\n')
      if (failed === undefined || failed.number === last || failed.tail.length === 0) return
      terminal.stderr.write(`#${failed.number} ${failed.name} printed last:\n`)
      for (const line of failed.tail) terminal.stderr.write(`  | ${line}\n`)
      terminal.stderr.write('\n')
    },
  }
}
