import { type Command, usage } from '../command.ts'
import { findImage, imageName, imageSize, readImage } from '../images/stored-images.ts'
import { PLATFORM_OPTION, wantedPlatform } from '../images/wanted-platform.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'inspect',
  summary: 'Show what an image is',
  usage: '[OPTIONS] IMAGE...',
  details: "The output is a JSON array with the fields of 'docker inspect'.",
  options: {
    platform: PLATFORM_OPTION,
    format: { value: 'FORMAT', help: 'json, which is all there is' },
  },
  positionals: { min: 1 },
  async run(args, terminal) {
    const format = args.value('format') ?? 'json'
    if (format !== 'json') throw usage(command, `--format is json, not ${JSON.stringify(format)}`)
    using session = await openSession(args, terminal)
    const { store } = session
    const platform = wantedPlatform(args, session.hostPlatform)
    const found = []
    for (const name of args.positionals) {
      const image = findImage(store, name)
      const { descriptor, manifest, config } = await readImage(store, image.manifest, platform)
      const tags = store.metadata.listAllTags().filter(tag => tag.digest === image.manifest.digest)
      found.push({
        Id: manifest.config.digest,
        RepoTags: tags.map(({ repository, tag }) => `${repository}:${tag}`).sort(),
        RepoDigests: [...new Set(tags.map(({ repository, digest }) => `${repository}@${digest}`))].sort(),
        Name: imageName(image),
        Digest: image.manifest.digest,
        Descriptor: descriptor,
        Created: config.created,
        Author: config.author ?? '',
        Architecture: config.architecture,
        ...(config.variant !== undefined && { Variant: config.variant }),
        Os: config.os,
        Size: imageSize(manifest),
        Config: config.config,
        RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
        Layers: manifest.layers,
      })
    }
    terminal.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
  },
}
