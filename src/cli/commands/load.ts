import { resolve } from 'node:path'
import { isTag, parseReference } from '../../oci/reference.ts'
import { openArchive } from '../archives.ts'
import { type Command, usage } from '../command.ts'
import { openSession } from '../session.ts'
import { copyToStore } from '../transfer.ts'

export const command: Command = {
  name: 'load',
  summary: 'Read images from an archive',
  usage: '[OPTIONS]',
  details: `Reads what 'docker save', 'podman save', skopeo or 'slipway save' wrote, plain or compressed, from standard input
unless a file is named. Names without a host become images of your own.`,
  options: {
    input: { value: 'FILE', short: 'i', help: 'Read from a file (or a directory in OCI layout)' },
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const input = args.value('input')
    const fromStdin = input === undefined || input === '-'
    if (fromStdin && terminal.stdin.isTTY === true) {
      throw usage(command, 'there is no archive on standard input: give -i FILE')
    }
    using session = await openSession(args, terminal)
    const from = fromStdin ? terminal.stdin : resolve(terminal.workingDirectory, input)
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
