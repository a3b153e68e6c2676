/**
 * For logs that a web page folds: a group for each step that prints anything, its end below it.
 * ```
 * #1 [1/3] FROM debian DONE 0.1s
 * > #2 [2/3] RUN make                 (folded)
 *     0.412 cc main.c
 * #2 [2/3] RUN make DONE 1.3s
 * ```
 * Groups cannot be mixed, so that of steps which run at the same time one is shown as it prints and the others after it,
 * each whole. One that prints more meanwhile than is to be kept comes between, and its group is opened again later.
 */
import type { ProgressEvent } from '../../builder/solve/progress.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Terminal } from '../terminal.ts'
import { formatSeconds } from '../text/format.ts'
import { printableLine } from '../text/printable.ts'
import { drained } from './drained.ts'
import type { LogGroups } from './log-groups.ts'
import { OutputLines } from './output-lines.ts'
import type { ProgressRenderer } from './renderer.ts'

/** Characters of a step that waits for its turn. */
const KEPT_WAITING = 256 * 1024
/** Lines of a failed step that are shown where nothing folds them. */
const KEPT_TAIL = 20

interface Step {
  readonly title: string
  readonly number: number
  readonly startedAt: number
  readonly lines: { readonly stdout: OutputLines; readonly stderr: OutputLines }
  readonly tail: string[]
  waiting: string[]
  waitingLength: number
  /** Groups that it has had. */
  groups: number
  /** How it ended: known when it did, and shown after its lines. */
  end?: string
}

export interface GroupedDeps {
  readonly stderr: Terminal['stderr']
  readonly groups: LogGroups
  /** A warning, on one line. */
  warn(text: string): void
}

export function createGroupedProgress({ stderr, groups, warn }: GroupedDeps): ProgressRenderer {
  /** Those that are not shown to their end, in the order in which they began. */
  const steps = new Map<Digest, Step>()
  const failed: Step[] = []
  let count = 0
  let shown: { readonly step: Step; readonly id: string } | undefined

  const open = (step: Step): void => {
    if (shown?.step === step) return
    close()
    const id = step.groups === 0 ? `${step.number}` : `${step.number}_${step.groups}`
    groups.open(id, step.groups === 0 ? step.title : `${step.title} (continued)`)
    step.groups++
    shown = { step, id }
  }
  const close = (): void => {
    if (shown !== undefined) groups.close(shown.id)
    shown = undefined
  }
  const showWaiting = (step: Step): void => {
    if (step.waiting.length === 0) return
    open(step)
    for (const line of step.waiting) stderr.write(`${line}\n`)
    step.waiting = []
    step.waitingLength = 0
  }
  const showEnds = (): void => {
    for (const [digest, step] of steps) {
      if (step.end === undefined) continue
      showWaiting(step)
      close()
      stderr.write(`${step.title} ${step.end}\n`)
      steps.delete(digest)
    }
    // The oldest of those that have something to say is shown as it goes on.
    const next = [...steps.values()].find(step => step.waiting.length > 0)
    if (next !== undefined) showWaiting(next)
  }
  const add = (step: Step, at: number, lines: readonly string[]): void => {
    const seconds = formatSeconds(at - step.startedAt, 3)
    for (const line of lines) {
      step.tail.push(line)
      step.waiting.push(`${seconds} ${line}`)
      step.waitingLength += line.length
    }
    step.tail.splice(0, step.tail.length - KEPT_TAIL)
    if (shown === undefined || shown.step === step || step.waitingLength > KEPT_WAITING) showWaiting(step)
  }
  const end = (step: Step, at: number, text: string): void => {
    add(step, at, [...step.lines.stdout.end(), ...step.lines.stderr.end()])
    step.end = text
    if (shown === undefined || shown.step === step) showEnds()
  }
  const begin = (event: Extract<ProgressEvent, { kind: 'started' | 'cached' }>): Step => {
    const known = steps.get(event.vertex)
    if (known !== undefined) return known
    count++
    const step: Step = {
      title: `#${count} ${printableLine(event.name)}`,
      number: count,
      startedAt: event.at,
      lines: { stdout: new OutputLines(), stderr: new OutputLines() },
      tail: [],
      waiting: [],
      waitingLength: 0,
      groups: 0,
    }
    steps.set(event.vertex, step)
    return step
  }

  const sink = (event: ProgressEvent): void | Promise<void> => {
    if (event.kind === 'warning') return warn(printableLine(event.text))
    if (event.kind === 'started') return void begin(event)
    if (event.kind === 'cached') return end(begin(event), event.at, 'CACHED')
    const step = steps.get(event.vertex)
    if (step === undefined || step.end !== undefined) return
    if (event.kind === 'output') {
      add(step, event.at, step.lines[event.stream].push(event.chunk))
      return drained(stderr)
    }
    if (event.kind === 'status') return add(step, event.at, [printableLine(event.text)])
    if (event.kind === 'done')
      return end(step, event.at, `DONE ${formatSeconds(event.at - step.startedAt, 1)}s`)
    if (event.kind === 'canceled') return end(step, event.at, 'CANCELED')
    failed.push(step)
    end(step, event.at, `ERROR: ${printableLine(event.message)}`)
  }
  return {
    sink,
    finish() {
      close()
      showEnds()
      for (const step of steps.values()) showWaiting(step)
      close()
      if (count > 0) stderr.write('\n')
      for (const { title, tail } of failed) {
        if (tail.length === 0) continue
        stderr.write(`${title} printed last:\n${tail.map(line => `  | ${line}\n`).join('')}\n`)
      }
    },
  }
}
