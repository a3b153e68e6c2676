import type { Command } from '../command.ts'
import { openSession } from '../session.ts'
import { findImage, imageName } from '../stored-images.ts'

export const command: Command = {
  name: 'rmi',
  summary: 'Remove names of images',
  usage: 'IMAGE...',
  details: `A name with a tag loses that tag; a name with a digest (app@sha256:...) loses the image and all its tags.
Content that nothing needs any more is deleted by 'slipway gc'.`,
  options: {},
  positionals: { min: 1 },
  async run(args, terminal) {
    using session = await openSession(args, terminal)
    const { metadata } = session.store
    // All names are looked up before any is removed: a typing mistake removes nothing.
    for (const image of args.positionals.map(name => findImage(session.store, name))) {
      if (image.tag === undefined) metadata.deleteManifest(image.repository, image.manifest.digest)
      else metadata.deleteTag(image.repository, image.tag)
      terminal.stdout.write(`removed ${imageName(image)}\n`)
    }
  },
}
