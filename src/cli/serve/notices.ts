/** What a server tells of itself beside its requests, in the form of its log. */
import type { LogForm } from '../config/serve.ts'
import type { Terminal } from '../terminal.ts'
import { printableLine } from '../text/printable.ts'

export interface Notices {
  /** @param subject one word: what it is about */
  info(subject: string, message: string): void
  /** Written even where requests are not logged. @param consequence what happens now because of it */
  problem(subject: string, consequence: string, error: unknown): void
}

export function createNotices(terminal: Terminal, form: LogForm): Notices {
  const write = (level: 'info' | 'warning', subject: string, message: string): void => {
    if (form === 'off' && level === 'info') return
    const time = new Date(terminal.now()).toISOString()
    const line =
      form === 'json'
        ? JSON.stringify({ time, level, subject, message })
        : printableLine(`${time} ${level} ${subject}: ${message}`)
    terminal.stderr.write(`${line}\n`)
  }
  return {
    info: (subject, message) => write('info', subject, message),
    problem(subject, consequence, error) {
      const cause = error instanceof Error ? error.message : String(error)
      write('warning', subject, `${cause}; ${consequence}`)
    },
  }
}
