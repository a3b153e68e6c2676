import { type Command, usage } from '../command.ts'
import { parseDuration } from '../duration.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'prune',
  summary: 'Remove records of the build cache',
  usage: '[OPTIONS]',
  details: "The layers of the records are deleted by 'slipway gc', unless an image needs them.",
  options: {
    unused: { value: 'DURATION', help: 'Only records that no build has used for so long, such as 7d' },
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const given = args.value('unused')
    const unusedMs = given === undefined ? undefined : parseDuration(given)
    if (given !== undefined && unusedMs === undefined)
      throw usage(command, `--unused is a duration such as 7d, not ${JSON.stringify(given)}`)
    using session = await openSession(args, terminal)
    const removed = session.store.metadata.deleteCacheRecords(
      unusedMs === undefined ? undefined : terminal.now() - unusedMs,
    )
    terminal.stdout.write(`removed ${removed.length} records of the build cache\n`)
  },
}
