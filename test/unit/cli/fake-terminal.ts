import { PassThrough, Readable, Writable } from 'node:stream'
import type { Terminal } from '../../../src/cli/terminal.ts'

/** A standard stream that keeps what is written to it. */
export class Screen extends Writable {
  isTTY = false
  columns = 80
  rows = 24
  #text = ''

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#text += chunk.toString()
    done()
  }

  get text(): string {
    return this.#text
  }

  /** What was written since the last call. */
  take(): string {
    const text = this.#text
    this.#text = ''
    return text
  }
}

export interface FakeTerminal extends Terminal {
  readonly stdout: Screen
  readonly stderr: Screen
  /** Of both clocks, in milliseconds. */
  time: number
}

export function fakeTerminal(changes: Partial<Terminal> = {}): FakeTerminal {
  const terminal: FakeTerminal = {
    stdin: Object.assign(Readable.from([]), { isTTY: false }),
    env: {},
    workingDirectory: '/some dir',
    homeDirectory: '/home/me',
    userID: 1000,
    platform: 'linux',
    arch: 'x64',
    signal: new AbortController().signal,
    now: () => terminal.time,
    monotonicMs: () => terminal.time,
    ...changes,
    stdout: new Screen(),
    stderr: new Screen(),
    time: 0,
  }
  return terminal
}

/** Standard input on which nothing ever comes. */
export function silentInput(): PassThrough {
  return new PassThrough()
}
