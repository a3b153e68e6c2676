import { randomUUID } from 'node:crypto'
import { homedir } from 'node:os'
import { isErrno } from '../oci/errors.ts'
import { createWorkflowLog } from './ci/workflow-log.ts'
import { COMMON_OPTIONS } from './command.ts'
import { COMMANDS, loadCommand } from './commands.ts'
import { CliError } from './errors.ts'
import { exitCodeOf } from './exit-codes.ts'
import { formatCommandHelp, formatProgramHelp } from './help.ts'
import { parseArguments } from './parse-arguments.ts'
import { reportError } from './report.ts'
import { SIGNALS, type StoppingSignal, stopped } from './signals.ts'
import type { Terminal } from './terminal.ts'
import { didYouMean } from './text/did-you-mean.ts'
import { becomeRoot, type Privileges } from './user-namespace.ts'
import { VERSION } from './version.ts'

/** Runs the command that the process was started with and sets the exit code. */
export async function main(): Promise<void> {
  const argv = process.argv.slice(2)
  const privileges = await becomeRoot(splitCommand(argv).name, argv)
  const interrupt = new AbortController()
  const terminal = processTerminal(interrupt.signal, privileges)
  const onSignal = (signal: StoppingSignal): void => {
    const reason = stopped(signal)
    // A second signal means at once.
    if (interrupt.signal.aborted) process.exit(exitCodeOf(reason))
    interrupt.abort(reason)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  // A reader that has seen enough (`slipway save app | head -c 512`) ends the command without a complaint.
  process.stdout.on('error', error => {
    if (!isReaderGone(error)) throw error
    interrupt.abort(new CliError('output-closed', 'Cannot write to standard output: it is closed'))
  })
  // Progress that nobody reads any more is no reason to stop.
  process.stderr.on('error', error => {
    if (!isReaderGone(error)) throw error
  })
  process.on('uncaughtException', error => process.exit(reportError(error, terminal)))
  try {
    await runCommand(argv, terminal)
  } catch (error) {
    // All is cleaned up; what is still open, such as an input on which nothing comes, must not hold us up.
    const code = reportError(interrupt.signal.aborted ? interrupt.signal.reason : error, terminal)
    // What a slow reader has not taken yet would be lost, the error before all.
    await new Promise<void>(resolve => process.stderr.write('', () => resolve()))
    process.exit(code)
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}

/** A pipe without a reader, or a terminal that was closed. */
function isReaderGone(error: unknown): boolean {
  return isErrno(error, 'EPIPE', 'EIO')
}

async function runCommand(argv: readonly string[], terminal: Terminal): Promise<void> {
  const { name, rest } = splitCommand(argv)
  if (name === undefined) {
    terminal.stdout.write(answerWithoutCommand(argv))
    return
  }
  if (name === 'help') {
    const topic = rest[0]
    terminal.stdout.write(
      topic === undefined ? formatProgramHelp() : formatCommandHelp(await findCommand(topic)),
    )
    return
  }
  const command = await findCommand(name)
  const args = parseArguments(command, rest)
  if (args.flag('help')) terminal.stdout.write(formatCommandHelp(command))
  else await command.run(args, terminal)
}

/** The first word that is no option names the command; the options that all commands take may stand before it. */
function splitCommand(argv: readonly string[]): { name: string | undefined; rest: readonly string[] } {
  let index = 0
  for (let word = argv[index]; word?.startsWith('-'); word = argv[index]) index += takesNextWord(word) ? 2 : 1
  return { name: argv[index], rest: [...argv.slice(0, index), ...argv.slice(index + 1)] }
}

function takesNextWord(word: string): boolean {
  const name = word.slice(2)
  return Object.hasOwn(COMMON_OPTIONS, name) && COMMON_OPTIONS[name]?.value !== undefined
}

function answerWithoutCommand(options: readonly string[]): string {
  if (options.some(word => word === '--version' || word === '-v')) return `slipway ${VERSION}\n`
  if (options.length === 0 || options.some(word => word === '--help' || word === '-h'))
    return formatProgramHelp()
  const hint = "see 'slipway --help'"
  const [first = ''] = options
  const [name = ''] = first.replace(/^-+/, '').split('=')
  if (Object.hasOwn(COMMON_OPTIONS, name)) throw new CliError('usage', 'a command is missing', { hint })
  const nearest = didYouMean(name, ['version', ...Object.keys(COMMON_OPTIONS)], '--')
  throw new CliError('usage', `unknown option ${first}${nearest}`, { hint })
}

async function findCommand(name: string): ReturnType<typeof loadCommand> {
  if (Object.hasOwn(COMMANDS, name)) return loadCommand(name as keyof typeof COMMANDS)
  throw new CliError(
    'usage',
    `there is no command ${JSON.stringify(name)}${didYouMean(name, Object.keys(COMMANDS))}`,
    { hint: "see 'slipway --help'" },
  )
}

function processTerminal(signal: AbortSignal, { uid, namespace }: Privileges): Terminal {
  const workflow =
    process.env.GITHUB_ACTIONS === 'true' ? createWorkflowLog(process.stderr, randomUUID()) : undefined
  return {
    // Opened when a command reads it.
    get stdin() {
      return process.stdin
    },
    stdout: process.stdout,
    stderr: workflow?.stream ?? process.stderr,
    ...(workflow && { workflow }),
    env: process.env,
    workingDirectory: process.cwd(),
    homeDirectory: homedir(),
    userID: uid,
    ...(namespace !== undefined && { namespace }),
    platform: process.platform,
    arch: process.arch,
    signal,
    now: Date.now,
    // `performance` would have to be loaded.
    monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
  }
}
