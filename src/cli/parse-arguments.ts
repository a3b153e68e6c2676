import { parseArgs } from 'node:util'
import { parseGoBoolean } from '../builder/dockerfile/go-boolean.ts'
import { Arguments } from './arguments.ts'
import { COMMON_OPTIONS, type Command, type OptionSpec, usage } from './command.ts'
import type { CliError } from './errors.ts'
import { didYouMean } from './text/did-you-mean.ts'

/**
 * Options may stand before, between and after the arguments; `--` ends them. Flags take `--flag`, `--flag=true` and
 * `--flag=false`, as Docker's do; of an option that is not repeatable, the last one counts.
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
    const given = token.value === undefined ? undefined : withoutEquals(token.rawName, token.value)
    const value = spec.value === undefined ? flagValue(command, token.rawName, given) : given
    if (value === undefined)
      throw usage(command, `${token.rawName} needs a value: ${token.rawName} ${spec.value}`)
    values.set(token.name, [...(values.get(token.name) ?? []), value])
  }
  if (values.get('help')?.at(-1) !== 'true') checkCount(command, positionals)
  return new Arguments(positionals, values)
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

/** `-t=app` is `-t app`: what the parser hands over begins with the sign. */
function withoutEquals(rawName: string, value: string): string {
  return rawName.startsWith('--') ? value : value.replace(/^=/, '')
}

function flagValue(command: Command, rawName: string, value: string | undefined): string {
  const flag = value === undefined ? true : parseGoBoolean(value)
  if (flag !== undefined) return String(flag)
  throw usage(command, `${rawName} is a flag: it takes true or false, not ${JSON.stringify(value)}`)
}

function unknownOption(command: Command, rawName: string, known: readonly string[]): CliError {
  const name = rawName.replace(/^-+/, '')
  const { refused = {} } = command
  if (Object.hasOwn(refused, name)) return usage(command, `${rawName} is not supported: ${refused[name]}`)
  return usage(command, `unknown option ${rawName}${didYouMean(name, known, '--')}`)
}

function checkCount(command: Command, positionals: readonly string[]): void {
  const { min, max } = command.positionals
  const wanted = `usage: slipway ${command.name} ${command.usage}`
  const missing = min - positionals.length
  if (missing > 0)
    throw usage(
      command,
      `${missing === 1 ? 'an argument is' : `${missing} arguments are`} missing; ${wanted}`,
    )
  if (max !== undefined && positionals.length > max) {
    throw usage(command, `${JSON.stringify(positionals[max])} is one argument too many; ${wanted}`)
  }
}
