import type { Store } from '../../store/store.ts'
import { type Command, usage } from '../command.ts'
import { FORMAT_OPTION, wantsJson } from '../format-option.ts'
import { findImage, findNames, imageName, type StoredImage } from '../images/stored-images.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'rmi',
  summary: 'Remove names of images',
  usage: '[OPTIONS] IMAGE...',
  details: `A name with a tag loses that tag; a name with a digest (app@sha256:...) loses the image and all its tags.
An image ID will do for an image with one name. Content that nothing needs any more is deleted by 'slipway gc'.`,
  options: { format: FORMAT_OPTION },
  positionals: { min: 1 },
  async run(args, terminal) {
    const json = wantsJson(command, args)
    using session = await openSession(args, terminal, { freesSpace: true })
    const { metadata } = session.store
    // All names are looked up before any is removed: a typing mistake removes nothing.
    const images = args.positionals.map(name => findOne(session.store, name))
    const { withReserve } = await import('../../store/reserve.ts')
    await withReserve(session.store.disk.layout, async () => {
      for (const image of images) {
        if (image.tag === undefined) metadata.deleteManifest(image.repository, image.manifest.digest)
        else metadata.deleteTag(image.repository, image.tag)
      }
    })
    const names = images.map(imageName)
    terminal.stdout.write(
      json ? `${JSON.stringify(names, null, 2)}\n` : names.map(name => `removed ${name}\n`).join(''),
    )
  },
}

/** Which of several names should go is not ours to guess. */
function findOne(store: Store, text: string): StoredImage {
  const names = findNames(store, text)
  if (names.length > 1)
    throw usage(command, `${text} has several names, so say which: ${names.map(imageName).join(', ')}`)
  return findImage(store, text)
}
