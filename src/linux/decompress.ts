import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'

export type DecompressProgram = 'xz' | 'bzip2'

/** `program-missing`: it is not installed. `data-corrupt`: it refused its input (damaged, cut off, too greedy). */
export class DecompressError extends Error {
  readonly code: 'program-missing' | 'data-corrupt'

  constructor(code: DecompressError['code'], message: string) {
    super(message)
    this.name = 'DecompressError'
    this.code = code
  }
}

const PACKAGES = { xz: 'xz-utils', bzip2: 'bzip2' } as const

/** A dictionary beyond this is refused: an archive may ask for 4 GiB with a few bytes. `xz -9` needs 65 MiB. */
const XZ_MEMORY_LIMIT = '--memlimit-decompress=512MiB'

/**
 * Unpacks a stream with the program of that name, which runs only as long as the result is read.
 * @throws DecompressError; or the error of the source
 */
export async function* decompressWith(
  program: DecompressProgram,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const child = spawn(program, program === 'xz' ? ['-dcq', XZ_MEMORY_LIMIT] : ['-dcq'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const ended = waitForEnd(child, program)
  const messages = collect(child)
  // Both are awaited below, but only after the output has ended: a failure before must not count as unhandled.
  ended.catch(() => undefined)
  const feeding = feed(source, child.stdin)
  feeding.catch(() => child.kill('SIGKILL'))
  try {
    for await (const chunk of child.stdout) yield chunk
    await feeding
    if ((await ended) !== 0) {
      const said = messages().trim().split('\n')[0]
      throw new DecompressError(
        'data-corrupt',
        `Cannot unpack ${program} data: ${said || 'it is damaged or cut off'}`,
      )
    }
  } finally {
    child.kill('SIGKILL')
  }
}

function waitForEnd(child: ChildProcess, program: DecompressProgram): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', error => {
      const missing = 'code' in error && error.code === 'ENOENT'
      const message = `Cannot unpack ${program} data: the program ${program} is not installed (package ${PACKAGES[program]})`
      reject(missing ? new DecompressError('program-missing', message) : error)
    })
  })
}

/** Writes the source to a program that may stop reading at any time: its exit code then tells why. */
async function feed(source: AsyncIterable<Uint8Array>, stdin: Writable): Promise<void> {
  let open = true
  const closed = new Promise<void>(resolve => {
    const close = () => {
      open = false
      resolve()
    }
    stdin.once('close', close).on('error', close)
  })
  for await (const chunk of source) {
    if (!open) return
    if (!stdin.write(chunk)) await Promise.race([drained(stdin), closed])
  }
  stdin.end()
}

function drained(stdin: Writable): Promise<void> {
  return new Promise(resolve => {
    stdin.once('drain', resolve)
  })
}

function collect(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    if (text.length < 1000) text += chunk.toString()
  })
  return () => text.slice(0, 1000)
}
