import { type Command, usage } from '../command.ts'
import { openSession } from '../session.ts'
import { parseDuration } from '../text/duration.ts'
import { formatBytes } from '../text/format.ts'

const DEFAULT_GRACE = '1h'

export const command: Command = {
  name: 'gc',
  summary: 'Delete content that nothing refers to',
  usage: '[OPTIONS]',
  details: `What a tag or the build cache needs stays, and so does what was touched within the grace period: an upload or a
build under way loses nothing. Builds, pushes and pulls go on meanwhile.`,
  options: {
    'dry-run': { help: 'Show what would be deleted, and delete nothing' },
    grace: {
      value: 'DURATION',
      help: `How long ago content must last have been touched (default ${DEFAULT_GRACE})`,
    },
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const given = args.value('grace') ?? DEFAULT_GRACE
    const olderThanMs = parseDuration(given)
    if (olderThanMs === undefined)
      throw usage(command, `--grace is a duration such as 30m or 24h, not ${JSON.stringify(given)}`)
    const dryRun = args.flag('dry-run')
    using session = await openSession(args, terminal, { freesSpace: true })
    const { collectGarbage } = await import('../../store/gc.ts')
    const { withReserve } = await import('../../store/reserve.ts')
    const { store } = session
    const { now, signal } = terminal
    const report = await withReserve(store.disk.layout, () =>
      collectGarbage(store, { olderThanMs, dryRun, now, signal }),
    )
    const verb = dryRun ? 'would delete' : 'deleted'
    if (dryRun) terminal.stdout.write(report.digests.map(digest => `${digest}\n`).join(''))
    terminal.stdout.write(
      `${verb} ${report.digests.length} blobs and ${report.ingests.length} abandoned uploads, ${formatBytes(report.bytes)}\n`,
    )
    if (olderThanMs > 0 && terminal.stdout.isTTY === true)
      terminal.stdout.write(`what was touched within ${given} stays: --grace 0s takes that too\n`)
  },
}
