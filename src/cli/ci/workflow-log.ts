/**
 * The log of a GitHub Actions job, which obeys lines of what is written to it:
 * ```
 * ::group::TITLE  ...  ::endgroup::
 * ::error file=Dockerfile,line=3,title=T::MESSAGE
 * ##[error]MESSAGE                                   an older form, obeyed anywhere in a line
 * ::stop-commands::TOKEN  ...  ::TOKEN::             between the two nothing is obeyed
 * ```
 * What steps print and Dockerfiles say gets there too, from people who shall not command the job.
 */
import type { Writable } from 'node:stream'

export type WorkflowCommand = 'group' | 'endgroup' | 'error' | 'warning'

type LogStream = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }

export interface WorkflowLog {
  /** Commands in what is written to it are shown, not obeyed. */
  readonly stream: LogStream
  /** The same for text that goes to the log by way of another stream. */
  shown(text: string): string
  /** @param properties those that are undefined are left out */
  command(
    name: WorkflowCommand,
    message?: string,
    properties?: Readonly<Record<string, string | number | undefined>>,
  ): void
}

/** @param token nobody can guess it */
export function createWorkflowLog(stream: LogStream, token: string): WorkflowLog {
  const write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    const text = typeof chunk === 'string' ? withoutCommands(chunk, token) : chunk
    return Reflect.apply(stream.write, stream, [text, ...rest])
  }
  const guarded = new Proxy(stream, {
    get(target, key) {
      if (key === 'write') return write
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return {
    stream: guarded,
    shown: text => withoutCommands(text, token),
    command(name, message = '', properties = {}) {
      const given = Object.entries(properties).flatMap(([key, value]) =>
        value === undefined ? [] : [`${key}=${escapeProperty(String(value))}`],
      )
      const list = given.length === 0 ? '' : ` ${given.join(',')}`
      stream.write(`::${name}${list}::${escapeData(message)}\n`)
    },
  }
}

/** The text in such a way that the runner obeys no line of it. Text without an end of line gets one where that is needed. */
export function withoutCommands(text: string, token: string): string {
  if (!/##\[|^\s*::/m.test(text)) return text
  return `::stop-commands::${token}\n${text.replace(/\n?$/, '\n')}::${token}::\n`
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
