import type { ProgressEvent } from '../../builder/solve/progress.ts'
import type { Terminal } from '../terminal.ts'
import { createPlainProgress } from './plain.ts'
import { createRawJsonProgress } from './raw-json.ts'
import type { ProgressRenderer } from './renderer.ts'
import { createTtyProgress } from './tty.ts'

export const PROGRESS_MODES = ['auto', 'plain', 'tty', 'rawjson', 'none', 'quiet'] as const

export type ProgressMode = (typeof PROGRESS_MODES)[number]

/** `auto` draws on a terminal and writes plain lines elsewhere; `none` shows no steps, and `quiet` the image ID alone. */
export function createProgress(mode: ProgressMode, terminal: Terminal): ProgressRenderer {
  const renderer = createRenderer(mode, terminal)
  let isFinished = false
  return {
    sink: event => (isFinished && event.kind !== 'warning' ? undefined : renderer.sink(event)),
    finish() {
      if (!isFinished) renderer.finish()
      isFinished = true
    },
  }
}

function createRenderer(mode: ProgressMode, terminal: Terminal): ProgressRenderer {
  switch (mode) {
    case 'none':
    case 'quiet':
      return { sink: ignore, finish: () => ignore() }
    case 'rawjson':
      return createRawJsonProgress(terminal)
    case 'plain':
      return createPlainProgress(terminal)
    case 'tty':
      return createTtyProgress(terminal)
    case 'auto':
      return terminal.stderr.isTTY === true && terminal.env.TERM !== 'dumb'
        ? createTtyProgress(terminal)
        : createPlainProgress(terminal)
  }
}

function ignore(_event?: ProgressEvent): void {
  return
}
