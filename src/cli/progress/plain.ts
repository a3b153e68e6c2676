import type { ProgressEvent } from '../../builder/solve/progress.ts'
import type { Digest } from '../../oci/digest.ts'
import { formatSeconds } from '../format.ts'
import { printableLine } from '../printable.ts'
import type { Terminal } from '../terminal.ts'
import { drained } from './drained.ts'
import { OutputLines } from './output-lines.ts'
import type { ProgressRenderer } from './renderer.ts'

interface Step {
  readonly number: number
  readonly startedAt: number
  readonly lines: { readonly stdout: OutputLines; readonly stderr: OutputLines }
}

/**
 * Complete and in order, for logs: every line carries its step's number.
 * ```
 * #2 [2/5] RUN make
 * #2 0.412 cc main.c
 * #2 DONE 1.3s
 * ```
 */
export function createPlainProgress(terminal: Pick<Terminal, 'stderr'>): ProgressRenderer {
  const steps = new Map<Digest, Step>()
  let last: number | undefined

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
      startedAt: event.at,
      lines: { stdout: new OutputLines(), stderr: new OutputLines() },
    }
    steps.set(event.vertex, step)
    write(step, printableLine(event.name))
    return step
  }
  const logged = (step: Step, at: number, lines: readonly string[]): void => {
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
    else end(step, event.at, `ERROR: ${printableLine(event.message)}`)
  }
  return {
    sink,
    finish() {
      if (last !== undefined) terminal.stderr.write('\n')
    },
  }
}
