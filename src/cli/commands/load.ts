import { resolve } from 'node:path'
import { isTag, parseReference } from '../../oci/reference.ts'
import { type Command, usage } from '../command.ts'
import { CliError } from '../errors.ts'
import { openArchive } from '../images/archives.ts'
import { copyToStore } from '../images/transfer.ts'
import { openSession, type Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { printableLine } from '../text/printable.ts'

export const command: Command = {
  name: 'load',
  summary: 'Read images from an archive',
  usage: '[OPTIONS]',
  details: `Reads what 'docker save', 'podman save', skopeo or 'slipway save' wrote, plain or compressed, from standard input
unless a file is named. Names without a host become images of your own. A directory may be an OCI layout, or the data of
another registry (distribution's, such as /var/lib/docker-registry): then all its repositories come, and what is damaged
is named and left out, as is what a quota or an immutable tag refuses; then the exit code is 1.`,
  options: {
    input: { value: 'FILE', short: 'i', help: 'Read from a file, or a directory' },
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const input = args.value('input')
    const fromStdin = input === undefined || input === '-'
    if (fromStdin && terminal.stdin.isTTY === true) {
      throw usage(command, 'there is no archive on standard input: give -i FILE')
    }
    using session = await openSession(args, terminal, { addsContent: true })
    const from = fromStdin ? terminal.stdin : resolve(terminal.workingDirectory, input)
    if (typeof from === 'string' && (await loadRegistry(from, session, terminal))) return
    await using archive = await openArchive(from, session, terminal)
    for (const { descriptor, names } of archive.images) {
      // A bare tag, as OCI archives may have, names no repository.
      const wholeNames = names.filter(name => !isTag(name))
      const image = { source: archive.source, root: descriptor }
      await copyToStore(image, wholeNames.map(parseReference), { session, terminal })
      const shown = wholeNames.length > 0 ? wholeNames : [`${descriptor.digest} (without a name)`]
      terminal.stdout.write(shown.map(name => `loaded ${name}\n`).join(''))
    }
  },
}

/** False when the directory is no data of a registry. */
async function loadRegistry(directory: string, { store }: Session, terminal: Terminal): Promise<boolean> {
  const { findRegistryData, importRegistryData } = await import('../../store/archive/registry-data.ts')
  const data = await findRegistryData(directory)
  if (data === undefined) return false
  const { stdout, stderr, signal } = terminal
  const report = await importRegistryData({
    store,
    data,
    signal,
    onImported: (repository, tags, manifests) =>
      stdout.write(`loaded ${repository}: ${manifests} manifests, tags ${tags.join(' ') || '(none)'}\n`),
    onSkipped: (what, why) => stderr.write(`left out ${printableLine(what)}: ${printableLine(why)}\n`),
  })
  const { repositories, manifests, tags, skipped, refused, linked, copied } = report
  stdout.write(
    `${repositories} repositories, ${manifests} manifests, ${tags} tags; blobs: ${linked} linked, ${copied} copied; ${skipped} entries left out\n`,
  )
  if (refused > 0) {
    const problem = `quotas or immutable tags refused ${refused} ${refused === 1 ? 'entry' : 'entries'}`
    throw new CliError('load-incomplete', `Cannot load all of it: ${problem}`)
  }
  return true
}
