import type { Holder } from '../../store/needed-by.ts'
import type { LostContent } from '../../store/scrub.ts'
import { type Command, usage } from '../command.ts'
import { openSession, type Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { formatBytes } from '../text/format.ts'

const MEGABYTE = 1_000_000

export const command: Command = {
  name: 'verify',
  summary: 'Check that all content is what it was',
  usage: '[OPTIONS]',
  details: `Reads every blob and compares it with its digest. What is damaged goes to the folder quarantine in the store, and is
named with the images that need it; pushing, pulling or building them again mends them. Others may work meanwhile.
Ends with 1 when something is lost.`,
  options: {
    repair: { help: 'Fetch what is lost from the registries that it came from' },
    rate: { value: 'MB', help: 'Read at most so many megabytes per second' },
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const rate = args.value('rate')
    const megabytes = Number(rate)
    if (rate !== undefined && !(megabytes > 0))
      throw usage(command, `--rate is a number of megabytes per second, not ${JSON.stringify(rate)}`)
    using session = await openSession(args, terminal)
    const { store } = session
    const { scrubContent } = await import('../../store/scrub.ts')
    const report = await scrubContent(store, {
      ...(rate !== undefined && { bytesPerSecond: megabytes * MEGABYTE }),
      signal: terminal.signal,
      onLost: lost => terminal.stdout.write(describeLost(lost)),
    })
    const { blobs, bytes, dropped, orphans } = report
    const repaired = args.flag('repair') ? await repairAll(report.lost, session, terminal) : 0
    terminal.stdout.write(
      `verified ${blobs} blobs, ${formatBytes(bytes)}: ${report.lost.length} lost${repaired > 0 ? `, ${repaired} of them fetched again` : ''}\n`,
    )
    if (dropped.length > 0)
      terminal.stdout.write(`dropped ${dropped.length} damaged blobs that nothing needed\n`)
    if (orphans > 0)
      terminal.stdout.write(
        `${orphans} files belong to no blob; 'slipway gc' deletes them once they are old\n`,
      )
    if (report.lost.length > repaired) {
      const { StoreError } = await import('../../store/errors.ts')
      throw new StoreError(
        'content-corrupt',
        `Cannot vouch for the store: ${report.lost.length - repaired} blobs are lost`,
        { hint: 'push, pull or build the images named above again' },
      )
    }
  },
}

function describeLost({ digest, size, state, quarantined, neededBy }: LostContent): string {
  const { images, cacheRecords } = neededBy
  const needs = [...images, ...(cacheRecords > 0 ? [`${cacheRecords} steps of the build cache`] : [])]
  return [
    `lost ${digest} (${formatBytes(size)}): ${state}\n`,
    ...(needs.length > 0 ? [`  needed by ${needs.join(', ')}\n`] : []),
    ...(quarantined === undefined ? [] : [`  moved to ${quarantined}\n`]),
  ].join('')
}

/** Returns how much of it is there again. */
async function repairAll(
  lost: readonly LostContent[],
  session: Session,
  terminal: Terminal,
): Promise<number> {
  const { holdersOf } = await import('../../store/needed-by.ts')
  let repaired = 0
  for (const content of lost) {
    for (const holder of holdersOf(session.store.disk.database, content.digest)) {
      if (!(await repair(content, holder, session, terminal))) continue
      repaired++
      terminal.stdout.write(`fetched ${content.digest} again from ${holder.repository}\n`)
      break
    }
  }
  return repaired
}

/** False when it cannot be fetched from there. */
async function repair(
  { digest, size }: LostContent,
  { repository, mediaType }: Holder,
  session: Session,
  terminal: Terminal,
): Promise<boolean> {
  const { parseReference } = await import('../../oci/reference.ts')
  const { graphTarget } = await import('../../oci/graph.ts')
  const { openRemote } = await import('../registries.ts')
  const { CodedError } = await import('../../oci/errors.ts')
  const reference = parseReference(repository)
  if (reference.registry === undefined) return false
  using remote = openRemote(session, terminal)
  const descriptor = { mediaType: mediaType ?? 'application/octet-stream', digest, size }
  try {
    const source = await remote.repository(reference, { signal: terminal.signal }).open(descriptor)
    await graphTarget(session.store.content).write(descriptor, source, terminal.signal)
    return true
  } catch (error) {
    terminal.signal.throwIfAborted()
    if (!(error instanceof CodedError)) throw error
    terminal.stderr.write(`cannot fetch ${digest} from ${repository}: ${error.message}\n`)
    return false
  }
}
