import { LATEST, parseReference, repositoryOf } from '../../oci/reference.ts'
import { usage } from '../arguments.ts'
import type { Command } from '../command.ts'
import { openSession } from '../session.ts'
import { findImage } from '../stored-images.ts'

export const command: Command = {
  name: 'tag',
  summary: 'Give an image another name',
  usage: 'IMAGE NAME[:TAG]',
  options: {},
  positionals: { min: 2, max: 2 },
  async run(args, terminal) {
    const [from = '', to = ''] = args.positionals
    const target = parseReference(to)
    if (target.digest !== undefined) throw usage(command, `${to} has a digest, but a new name has a tag`)
    using session = await openSession(args, terminal)
    const { manifest } = findImage(session.store, from)
    session.store.metadata.putManifest(repositoryOf(target), manifest, [target.tag ?? LATEST])
  },
}
