import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { COMMANDS, loadCommand } from '../../../src/cli/commands.ts'
import { formatCommandHelp, formatProgramHelp } from '../../../src/cli/help.ts'

const names = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]

describe('help', () => {
  it('lists every command, within a terminal', () => {
    const help = formatProgramHelp()
    for (const name of names) assert.match(help, new RegExp(`^  ${name} +${COMMANDS[name]}$`, 'm'))
  })

  for (const name of names) {
    it(`of ${name} says what it does, how it is called, and each option`, async () => {
      const command = await loadCommand(name)
      assert.equal(command.name, name)
      assert.equal(command.summary, COMMANDS[name])
      assert.match(command.summary, /^[A-Z].*[^.]$/)
      const help = formatCommandHelp(command)
      assert.ok(
        help.startsWith(`Usage: ${`slipway ${name} ${command.usage}`.trim()}\n\n${command.summary}.\n`),
      )
      for (const [option, spec] of Object.entries(command.options)) {
        assert.match(option, /^[a-z][a-z-]*$/)
        assert.ok(help.includes(`--${option}${spec.value === undefined ? '' : ` ${spec.value}`}  `), option)
        assert.ok(spec.help.length > 3, `${option} has no help`)
      }
      for (const shared of ['--root DIR', '--config FILE', '--help']) assert.ok(help.includes(shared), shared)
      for (const line of help.split('\n')) {
        assert.ok(line.length <= 132, `too wide: ${line}`)
        assert.equal(line, line.trimEnd())
      }
    })
  }

  it('has no two options of a command with one letter, and names none that it refuses', async () => {
    for (const name of names) {
      const { options, refused = {} } = await loadCommand(name)
      const letters = Object.values(options).flatMap(({ short }) => short ?? [])
      assert.equal(new Set([...letters, 'h']).size, letters.length + 1, name)
      for (const option of Object.keys(refused)) assert.equal(option in options, false, option)
    }
  })
})
