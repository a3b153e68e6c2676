import { COMMON_OPTIONS, type Command, type OptionSpec } from './command.ts'
import { COMMANDS } from './commands.ts'

export function formatProgramHelp(): string {
  return `Slipway builds container images and serves them, from one content store.

Usage: slipway COMMAND [OPTIONS] [ARGUMENTS]

Commands:
${columns(Object.entries(COMMANDS))}

Options:
${columns(Object.entries(COMMON_OPTIONS).map(optionRow))}

'slipway COMMAND --help' tells more about a command.
`
}

export function formatCommandHelp(command: Command): string {
  const details = command.details === undefined ? '' : `\n${command.details.trim()}\n`
  const options = { ...command.options, ...COMMON_OPTIONS }
  return `Usage: ${`slipway ${command.name} ${command.usage}`.trim()}

${command.summary}.
${details}
Options:
${columns(Object.entries(options).map(optionRow))}
`
}

function optionRow([name, { value, short, repeated, help }]: readonly [string, OptionSpec]): readonly [
  string,
  string,
] {
  const letter = short === undefined ? '    ' : `-${short}, `
  return [
    `${letter}--${name}${value === undefined ? '' : ` ${value}`}`,
    `${help}${repeated === true ? ' (repeatable)' : ''}`,
  ]
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}
