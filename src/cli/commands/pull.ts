import { formatReference, LATEST, onDockerHub, parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Command } from '../command.ts'
import { copyToStore, openImage } from '../images/transfer.ts'
import { PLATFORM_OPTION, wantedPlatform } from '../images/wanted-platform.ts'
import { openRemote } from '../registries.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'pull',
  summary: 'Fetch an image from a registry',
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  details: `A name without a host means Docker Hub's. The image is kept under its full name (docker.io/library/debian:12); in a
Dockerfile, 'FROM debian:12' finds it. Of an image for several platforms only one is fetched.`,
  options: {
    platform: PLATFORM_OPTION,
    'all-platforms': { help: 'Fetch every platform of the image' },
  },
  positionals: { min: 1, max: 1 },
  async run(args, terminal) {
    const reference = onDockerHub(parseReference(args.positionals[0] ?? ''))
    using session = await openSession(args, terminal, { addsContent: true })
    using remote = openRemote(session, terminal)
    const deps = { session, remote, terminal }
    await using image = await openImage({ kind: 'registry', reference }, deps)
    const wanted = args.flag('all-platforms') ? undefined : wantedPlatform(args, session.hostPlatform)
    await copyToStore(image, [reference], deps, wanted)
    if (reference.digest === undefined)
      session.store.metadata.putUpstreamTag(
        repositoryOf(reference),
        reference.tag ?? LATEST,
        image.root.digest,
      )
    terminal.stdout.write(`${formatReference(reference)} ${image.root.digest}\n`)
  },
}
