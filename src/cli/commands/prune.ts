import { type Command, usage } from '../command.ts'
import { openSession } from '../session.ts'
import { parseDuration } from '../text/duration.ts'
import { formatBytes } from '../text/format.ts'

export const command: Command = {
  name: 'prune',
  summary: 'Remove the build cache',
  usage: '[OPTIONS]',
  details: `Removes the records of the build cache, unpacked layers and Git repositories that no running build uses, logs of
builds, and files that killed builds have left. The layers of the records are deleted by 'slipway gc', unless an image
needs them.`,
  options: {
    unused: {
      value: 'DURATION',
      help: 'Only records that no build has used for so long, such as 7d, and what else is as old',
    },
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const given = args.value('unused')
    const unusedMs = given === undefined ? undefined : parseDuration(given)
    if (given !== undefined && unusedMs === undefined)
      throw usage(command, `--unused is a duration such as 7d, not ${JSON.stringify(given)}`)
    using session = await openSession(args, terminal, { freesSpace: true })
    const { store } = session
    const now = terminal.now()
    const before = unusedMs === undefined ? undefined : now - unusedMs
    const { pruneCache } = await import('../../builder/prune-cache.ts')
    // On a full disk this makes the room that the database needs.
    const { snapshots, cacheMounts, bytes } = await pruneCache({
      storeRoot: store.root,
      madeBefore: before ?? Number.POSITIVE_INFINITY,
      now,
      signal: terminal.signal,
    })
    const records = store.metadata.deleteCacheRecords(before)
    // Several records may lead to one layer.
    const results = new Set(records.map(({ layer }) => layer.digest)).size
    terminal.stdout.write(
      `removed ${count(results, 'result')} of the build cache, ${count(snapshots, 'unpacked layer')} and ${count(cacheMounts, 'cache mount')}, freed ${formatBytes(bytes)}\n`,
    )
    if (results > 0) terminal.stderr.write("'slipway gc' deletes layers that only these records needed\n")
  },
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}
