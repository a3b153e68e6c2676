import type { Arguments } from './arguments.ts'
import { CliError } from './errors.ts'
import type { Terminal } from './terminal.ts'

export interface OptionSpec {
  /** Shown in help for an option that takes a value: `FILE`. Without it the option is a flag. */
  readonly value?: string
  /** One letter. */
  readonly short?: string
  /** May be given several times. */
  readonly repeated?: boolean
  /** One line for `--help`. */
  readonly help: string
}

/** By long name. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** Turns a problem into the command's usage error. */
export type Refuse = (problem: string) => Error

export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** What follows the name, such as `[OPTIONS] PATH`. */
  readonly usage: string
  /** Paragraphs below the usage. */
  readonly details?: string
  readonly options: OptionSpecs
  /** Options of other tools that we know and do not have: name and why, or what to do instead. */
  readonly refused?: Readonly<Record<string, string>>
  /** How many arguments; an absent maximum means any number. */
  readonly positionals: { readonly min: number; readonly max?: number }
  run(args: Arguments, terminal: Terminal): Promise<void>
}

/** Options that every command takes. */
export const COMMON_OPTIONS: OptionSpecs = {
  root: { value: 'DIR', help: 'The folder of the content store' },
  config: { value: 'FILE', help: 'The configuration file (slipway.toml)' },
  help: { short: 'h', help: 'Show this help' },
}

/** A mistake in how a command was called. */
export function usage(command: Command, problem: string): CliError {
  return new CliError('usage', `${command.name}: ${problem}`, {
    hint: `see 'slipway ${command.name} --help'`,
  })
}
