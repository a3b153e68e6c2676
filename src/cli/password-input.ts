import { StringDecoder } from 'node:string_decoder'
import { CliError } from './errors.ts'
import type { Terminal } from './terminal.ts'

const MAX_BYTES = 64 * 1024

/** All of standard input, without the line's end. @throws CliError `usage` for more than a password can be */
export async function readPasswordFromStdin({ stdin }: Terminal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    size += chunk.length
    if (size > MAX_BYTES)
      throw new CliError('usage', 'Cannot read password: standard input is too long for one')
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

/** Asks on the terminal, which shows nothing of what is typed. @throws CliError `usage` where there is no terminal, `interrupted` */
export async function askPassword({ stdin, stderr }: Terminal, question: string): Promise<string> {
  if (stdin.isTTY !== true || stdin.setRawMode === undefined)
    throw new CliError('usage', 'Cannot ask for a password: standard input is not a terminal', {
      hint: 'give it with --password-stdin',
    })
  stderr.write(question)
  stdin.setRawMode(true)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const decoder = new StringDecoder('utf8')
  let typed: readonly string[] = []
  const onData = (chunk: Buffer): void => {
    for (const letter of decoder.write(chunk)) {
      if (ENDS.includes(letter)) resolve(typed.join(''))
      else if (letter === INTERRUPT) reject(new CliError('interrupted', 'Interrupted'))
      typed = ERASE.includes(letter) ? typed.slice(0, -1) : letter === ERASE_LINE ? [] : [...typed, letter]
    }
  }
  stdin.on('data', onData)
  stdin.resume()
  try {
    return await promise
  } finally {
    stdin.off('data', onData)
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

/** What keys send while the terminal does not interpret them. */
const INTERRUPT = '\u0003'
const ENDS = ['\r', '\n', '\u0004']
const ERASE = ['\u007f', '\b']
const ERASE_LINE = '\u0015'
