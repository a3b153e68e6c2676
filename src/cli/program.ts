import { homedir } from 'node:os'
import { suggest } from '../builder/dockerfile/suggest.ts'
import { isErrno } from '../oci/errors.ts'
import { parseArguments } from './arguments.ts'
import { COMMANDS, loadCommand } from './commands.ts'
import { CliError } from './errors.ts'
import { EXIT_INTERRUPTED } from './exit-codes.ts'
import { formatCommandHelp, formatProgramHelp } from './help.ts'
import { reportError } from './report.ts'
import type { Terminal } from './terminal.ts'
import { VERSION } from './version.ts'

/** Runs the command that the process was started with and sets the exit code. */
export async function main(): Promise<void> {
  const interrupt = new AbortController()
  const terminal = processTerminal(interrupt.signal)
  const onSignal = (): void => {
    // A second signal means at once.
    if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED)
    interrupt.abort(new CliError('interrupted', 'Interrupted'))
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  // A reader that has seen enough (`slipway images | head -1`) ends the command without a complaint.
  process.stdout.on('error', error => {
    if (isErrno(error, 'EPIPE')) process.exit(0)
    throw error
  })
  process.on('uncaughtException', error => process.exit(reportError(error, terminal)))
  try {
    await runCommand(process.argv.slice(2), terminal)
  } catch (error) {
    process.exitCode = reportError(interrupt.signal.aborted ? interrupt.signal.reason : error, terminal)
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

async function runCommand(argv: readonly string[], terminal: Terminal): Promise<void> {
  const { name, rest } = splitCommand(argv)
  if (name === undefined) {
    const asked = rest.some(word => word === '--help' || word === '-h')
    if (rest.some(word => word === '--version' || word === '-v'))
      terminal.stdout.write(`slipway ${VERSION}\n`)
    else if (asked || rest.length === 0) terminal.stdout.write(formatProgramHelp())
    else throw new CliError('usage', `unknown option ${rest[0]}`, { hint: "see 'slipway --help'" })
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

/** The first word that is no option names the command; `--root` and `--config` may stand before it. */
function splitCommand(argv: readonly string[]): { name: string | undefined; rest: readonly string[] } {
  let index = 0
  while (index < argv.length && argv[index]?.startsWith('-'))
    index += argv[index] === '--root' || argv[index] === '--config' ? 2 : 1
  return { name: argv[index], rest: [...argv.slice(0, index), ...argv.slice(index + 1)] }
}

async function findCommand(name: string): ReturnType<typeof loadCommand> {
  if (Object.hasOwn(COMMANDS, name)) return loadCommand(name as keyof typeof COMMANDS)
  const nearest = suggest(name, Object.keys(COMMANDS))
  throw new CliError(
    'usage',
    `there is no command ${JSON.stringify(name)}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`,
    {
      hint: "see 'slipway --help'",
    },
  )
}

function processTerminal(signal: AbortSignal): Terminal {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    workingDirectory: process.cwd(),
    homeDirectory: homedir(),
    userID: process.getuid?.() ?? -1,
    platform: process.platform,
    arch: process.arch,
    signal,
    now: Date.now,
    monotonicMs: () => performance.now(),
  }
}
