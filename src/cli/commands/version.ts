import type { Command } from '../command.ts'
import { VERSION } from '../version.ts'

export const command: Command = {
  name: 'version',
  summary: 'Show the version',
  usage: '',
  options: {},
  positionals: { min: 0, max: 0 },
  async run(_args, terminal) {
    terminal.stdout.write(`slipway ${VERSION}\n`)
  },
}
