import { parseArgs } from 'node:util'
import { suggest } from '../builder/dockerfile/suggest.ts'
import { COMMON_OPTIONS, type Command, type OptionSpec } from './command.ts'
import { CliError } from './errors.ts'

/** What was typed after a command's name, checked against the command's options. */
export class Arguments {
  readonly positionals: readonly string[]
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(positionals: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals
    this.#values = values
  }

  /** True when a flag was given (and not as `--flag=false`). */
  flag(name: string): boolean {
    return this.#values.get(name)?.at(-1) === 'true'
  }

  /** The value given last. */
  value(name: string): string | undefined {
    return this.#values.get(name)?.at(-1)
  }

  /** All values, in the order given. */
  values(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }
}

/**
 * Options may stand before, between and after the arguments; `--` ends them. Flags take `--flag`, `--flag=true` and
 * `--flag=false`, as Docker's do.
 * @throws CliError `usage`
 */
export function parseArguments(command: Command, argv: readonly string[]): Arguments {
  const specs = { ...command.options, ...COMMON_OPTIONS }
  const { tokens } = parseArgs({
    args: [...argv],
    options: parserOptions(specs),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const positionals: string[] = []
  const values = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined
    if (spec === undefined) throw unknownOption(command, token.rawName, Object.keys(specs))
    const value = spec.value === undefined ? flagValue(command, token.rawName, token.value) : token.value
    if (value === undefined)
      throw usage(command, `${token.rawName} needs a value: ${token.rawName} ${spec.value}`)
    const given = values.get(token.name)
    if (given === undefined) values.set(token.name, [value])
    else if (spec.repeated === true || spec.value === undefined) given.push(value)
    else throw usage(command, `${token.rawName} is given more than once`)
  }
  if (values.get('help')?.at(-1) !== 'true') checkCount(command, positionals)
  return new Arguments(positionals, values)
}

/** A mistake in how a command was called. */
export function usage(command: Command, problem: string): CliError {
  return new CliError('usage', `${command.name}: ${problem}`, {
    hint: `see 'slipway ${command.name} --help'`,
  })
}

function parserOptions(
  specs: Readonly<Record<string, OptionSpec>>,
): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { value, short }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short !== undefined && { short }),
      },
    ]),
  )
}

function flagValue(command: Command, rawName: string, value: string | undefined): string {
  if (value === undefined || value === 'true' || value === '1') return 'true'
  if (value === 'false' || value === '0') return 'false'
  throw usage(command, `${rawName} is a flag: it takes true or false, not ${JSON.stringify(value)}`)
}

function unknownOption(command: Command, rawName: string, known: readonly string[]): CliError {
  const refusal = command.refused?.[rawName.replace(/^-+/, '')]
  if (refusal !== undefined) return usage(command, `${rawName} is not supported: ${refusal}`)
  const nearest = suggest(rawName.replace(/^-+/, ''), known)
  return usage(
    command,
    `unknown option ${rawName}${nearest === undefined ? '' : ` (did you mean --${nearest}?)`}`,
  )
}

function checkCount(command: Command, positionals: readonly string[]): void {
  const { min, max } = command.positionals
  const wanted = `usage: slipway ${command.name} ${command.usage}`
  if (positionals.length < min)
    throw usage(command, `${min === 1 ? 'an argument is' : `${min} arguments are`} missing; ${wanted}`)
  if (max !== undefined && positionals.length > max) {
    throw usage(command, `${JSON.stringify(positionals[max])} is one argument too many; ${wanted}`)
  }
}
