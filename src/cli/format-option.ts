import type { Arguments } from './arguments.ts'
import { type Command, type OptionSpec, usage } from './command.ts'

export const FORMAT_OPTION: OptionSpec = { value: 'FORMAT', help: 'table or json' }

/** @throws CliError `usage` */
export function wantsJson(command: Command, args: Arguments): boolean {
  const format = args.value('format') ?? 'table'
  if (format === 'json') return true
  if (format === 'table') return false
  throw usage(command, `--format is table or json, not ${JSON.stringify(format)}`)
}
